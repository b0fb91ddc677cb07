"""One measurement of `benchmarks.serving`: one setting."""

import time

import numpy as np

from benchmarks.measure.subprocesses import answer_request, peak_memory


def measure_serving(path, signature, batch_size, calls, warmup_calls):
    """Times calls, after `warmup_calls`, of one signature of the version in folder `path`.

    The signature takes `seeds`, and `labels` if the network has classes.

    Returns:
        dict: `call_s`, seconds of each timed call; `images_per_s`; `load_s`, seconds to load and
        restore; `image_shape` of `serving_default`, as text; peak memory; the device.
    """
    import tensorflow as tf

    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        begun = time.perf_counter()
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], path)
        load_s = time.perf_counter() - begun
        if signature not in meta.signature_def:
            raise ValueError(f"no signature {signature}")
        definition = meta.signature_def[signature]
        seconds = time_calls(session, definition, batch_size, warmup_calls + calls)[warmup_calls:]
    memory = peak_memory()  # Before the next import, which needs memory that serving does not.
    from keras_sagan.devices.strategy import device_name

    image = meta.signature_def["serving_default"].outputs["images"].tensor_shape
    return {
        "call_s": seconds,
        "images_per_s": batch_size * calls / sum(seconds),
        "load_s": load_s,
        "image_shape": "x".join(str(dim.size) for dim in image.dim[1:]),
        **memory,
        "device": device_name(),
    }


def time_calls(session, signature, batch_size, calls):
    """Seconds of each of `calls` calls, each with different seeds."""
    fetches = {name: info.name for name, info in signature.outputs.items()}
    seconds = []
    for call in range(calls):
        # The class does not change the cost, and every network with classes has a class 0.
        seeds = np.arange(batch_size) + call * batch_size
        values = {"labels": np.zeros(batch_size, np.int64), "seeds": seeds}
        feeds = {info.name: values[name] for name, info in signature.inputs.items()}
        begun = time.perf_counter()
        outputs = session.run(fetches, feeds)
        seconds.append(time.perf_counter() - begun)
        for name, output in outputs.items():
            if len(output) != batch_size:
                raise ValueError(f"{name} has {len(output)} rows, not {batch_size}")
    return seconds


if __name__ == "__main__":
    answer_request(measure_serving)
