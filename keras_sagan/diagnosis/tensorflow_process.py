"""Examines TensorFlow: `python -m keras_sagan.diagnosis.tensorflow_process`.

It is a process of its own because TensorFlow may crash, e.g. for a flag in `XLA_FLAGS` that it does
not know. The last line of its output is the section as JSON.
"""

import json
import os
import pathlib
import sys
from typing import Any

from keras_sagan.diagnosis.section import Section, one_line
from keras_sagan.errors import UsageError, reason_of

TITLE = "TensorFlow"
# It exists where NVIDIA's driver is loaded.
DRIVER = pathlib.Path("/proc/driver/nvidia/version")


def main() -> None:
    """Writes the section."""
    sys.stdout.write(f"\n{json.dumps(examine())}\n")


def examine() -> Section:
    """Devices, XLA on each kind of device and, if variables describe one, the cluster."""
    try:
        import keras  # noqa: F401
        import tensorflow as tf
    except Exception as error:
        problem = (
            f"TensorFlow or Keras cannot be imported: {type(error).__name__}: "
            f"{one_line(str(error))}: training, sampling and scores fail; correct that, or install "
            "both again"
        )
        return Section(TITLE, {"import": "failed"}, [problem])
    facts, problems = describe_devices(tf)
    for kind in ("CPU", "GPU"):
        if tf.config.list_physical_devices(kind):
            failure = try_xla(tf, kind)
            facts[f"XLA on {kind}"] = failure or "works"
            if failure:
                problems.append(f"XLA on {kind}: {failure}: use --jit_compile=off")
    if {"TF_CONFIG", "SLURM_STEP_NODELIST"} & set(os.environ):
        facts["cluster"], failure = describe_cluster()
        problems += failure
    return Section(TITLE, facts, problems)


def describe_devices(tf: Any) -> tuple[dict[str, str], list[str]]:
    """The GPUs, and whether TensorFlow should have found some."""
    facts = {"CUDA": str(tf.sysconfig.get_build_info().get("cuda_version", "not in this build"))}
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        facts["GPUs"] = "none"
    for number, gpu in enumerate(gpus):
        details = tf.config.experimental.get_device_details(gpu)
        capability = ".".join(map(str, details.get("compute_capability", ["unknown"])))
        name = details.get("device_name", "unnamed")
        facts[f"GPU {number}"] = f"{name}, compute capability {capability}"
    if gpus or not DRIVER.exists() or "CUDA_VISIBLE_DEVICES" in os.environ:
        return facts, []
    problem = (
        "GPUs: NVIDIA's driver is loaded, but TensorFlow finds no GPU: everything runs on the CPU; "
        "install the extra cuda (pip install 'keras-sagan[cuda]')"
    )
    return facts, [problem]


def try_xla(tf: Any, kind: str) -> str | None:
    """Compiles and runs a tiny function on the first device of a kind; why it fails, or None."""
    try:
        with tf.device(f"{kind}:0"):
            square = tf.function(tf.square, jit_compile=True)
            value = float(square(tf.constant(3.0)))
    except Exception as error:
        return one_line(f"{type(error).__name__}: {reason_of(error)}")
    return None if value == 9 else f"the square of 3 is {value}"


def describe_cluster() -> tuple[str, list[str]]:
    """This process's place in the cluster that `TF_CONFIG` or Slurm describes, or the problem."""
    # Importing it loads TensorFlow.
    from keras_sagan.devices.cluster import task_addresses
    from keras_sagan.devices.join import find_place

    try:
        place = find_place()
    except UsageError as error:
        problem = (
            f"train --strategy=multi_worker cannot start: {error}. Correct the variable or unset it"
        )
        return "none that TensorFlow can read", [problem]
    addresses = ", ".join(task_addresses(place.spec))
    return f"{place.job} {place.task} of {addresses}", []


if __name__ == "__main__":
    main()
