"""Runs signatures of a SavedModel in a Session, as TensorFlow Serving does, without our package.

python run_session.py VERSION INPUTS.npz OUTPUTS.npz

Arrays are named CASE/SIGNATURE/INPUT and CASE/SIGNATURE/OUTPUT; a case that fails has CASE/
SIGNATURE/error instead. `cpu_seconds` is what loading took of the
processors.
"""

import sys
import time

import numpy as np


def main(version, inputs, outputs):
    sys.modules["keras_sagan"] = sys.modules["keras"] = None  # To import them is an error.
    import tensorflow as tf

    asked, answers = {}, {}
    with np.load(inputs) as file:
        for name in file:
            case, signature, key = name.split("/")
            asked.setdefault((case, signature), {})[key] = file[name]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        begun = time.process_time()
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], version)
        answers["cpu_seconds"] = time.process_time() - begun
        for (case, name), arrays in asked.items():
            signature = meta.signature_def[name]
            fetches = {key: info.name for key, info in signature.outputs.items()}
            feeds = {signature.inputs[key].name: arrays[key] for key in arrays}
            try:
                results = session.run(fetches, feeds)
            except tf.errors.OpError as error:
                results = {"error": f"{type(error).__name__}: {error.message}"}
            for key, value in results.items():
                answers[f"{case}/{name}/{key}"] = value
    # PNG files end in a byte that is not zero, so as bytes of one length they stay what they are.
    np.savez(outputs, **{k: np.array(v, "S") if is_bytes(v) else v for k, v in answers.items()})


def is_bytes(value):
    return isinstance(value, np.ndarray) and value.dtype == object


if __name__ == "__main__":
    main(*sys.argv[1:])
