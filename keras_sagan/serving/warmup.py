"""Requests that a server answers before it is ready, so that no user waits for a cold start."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import tensorflow as tf

from keras_sagan.networks.network import Network
from keras_sagan.serving.configs import BATCH_SIZES
from keras_sagan.serving.signatures import signatures

FILE = "assets.extra/tf_serving_warmup_requests"


def write_warmup(
    generator: Network, class_names: Sequence[str] | None, model: str, path: pathlib.Path
) -> None:
    """Writes the warm-up of the SavedModel in folder `path`.

    It asks every signature, because the server prepares the graph of each, and `serving_default` at
    every batch size, because kernels are chosen by shape.

    Raises:
        ImportError: if the package tensorflow-serving-api is not installed.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    (path / FILE).parent.mkdir()
    with tf.io.TFRecordWriter(os.fsencode(path / FILE)) as writer:
        for name, inputs in warmup_requests(generator, class_names):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.model_spec.signature_name = name
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())


def warmup_requests(
    generator: Network, class_names: Sequence[str] | None
) -> Iterator[tuple[str, dict[str, tf.Tensor]]]:
    """Pairs of signature and inputs by name."""
    for name, (inputs, _) in signatures(generator, class_names).items():
        for rows in BATCH_SIZES if name == "serving_default" else BATCH_SIZES[:1]:
            yield name, request_inputs(generator, inputs, rows)


def request_inputs(generator: Network, inputs: Iterable[str], rows: int) -> dict[str, tf.Tensor]:
    """Possible values of these inputs, by name, for a request of `rows` rows."""
    values = {
        "seeds": tf.range(rows, dtype=tf.int64),
        "labels": tf.range(rows, dtype=tf.int64) % max(generator.num_classes, 1),
        "latents": tf.zeros([rows, *generator.example_shape]),
    }
    return {name: values[name] for name in inputs}
