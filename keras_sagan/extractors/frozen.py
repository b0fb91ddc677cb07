"""The 2015 Inception graph as a function in TensorFlow 2."""

import numpy as np
import tensorflow as tf

from keras_sagan.errors import UsageError
from keras_sagan.extractors.extractor import FeatureNetwork

v1 = tf.compat.v1
FLOAT = tf.float32.as_datatype_enum


def load_frozen(content: bytes, source: str) -> FeatureNetwork:
    """Makes a function of any number of images `[n, 299, 299, 3]`, in about [-1, 1].

    The graph is fed after its own resizing and scaling, because the protocol does both. Logits are
    `pool_3` times the weights, without the bias, as in openai/improved-gan. Graphs made for TF-GAN
    have them as a node.

    Args:
        content: a serialized GraphDef.
        source: where it comes from, for the error.

    Raises:
        UsageError: if it is not a graph, or lacks the nodes of the 2015 Inception.
    """
    graph = v1.GraphDef()
    try:
        graph.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, which has moved between versions.
        raise UsageError(f"expected a frozen graph (GraphDef). Received: {source}") from error
    names = {node.name for node in graph.node}
    entry = "Mul" if "Mul" in names else "ExpandDims"
    head = "softmax/weights" if "softmax/weights" in names else "logits"
    missing = [name for name in (entry, "pool_3", head) if name not in names]
    if missing:
        raise UsageError(
            "expected the 2015 Inception graph, with nodes Mul or ExpandDims, pool_3, and "
            f"softmax/weights or logits. Received: {source}, without {', '.join(missing)}"
        )
    try:
        return as_function(without_global_batch_norm(graph), entry, head)
    except (ValueError, KeyError, tf.errors.OpError) as error:
        raise UsageError(f"the graph in {source} cannot be run: {error}") from error


def as_function(graph: tf.compat.v1.GraphDef, entry: str, head: str) -> FeatureNetwork:
    """The part of `graph` from the node `entry` to `pool_3` and the logits."""
    for node in graph.node:
        if node.name == entry:  # Removes what decodes and resizes before it.
            node.op = "Placeholder"
            del node.input[:]
            node.attr.clear()
            node.attr["dtype"].type = FLOAT
    body = v1.graph_util.extract_sub_graph(graph, ["pool_3", head])
    run = v1.wrap_function(
        lambda images: tf.graph_util.import_graph_def(
            body, {f"{entry}:0": images}, ["pool_3:0", f"{head}:0"], name=""
        ),
        [tf.TensorSpec([None, None, None, 3], tf.float32)],
    )

    def network(images):
        # Without the node `Mul`, the graph still scales its input itself.
        pool_3, last = run(images if entry == "Mul" else images * 128 + 128)
        count = tf.shape(images)[0]
        features = tf.reshape(pool_3, [count, -1])
        if head == "logits":
            return features, tf.reshape(last, [count, -1])
        return features, tf.matmul(features, last)

    return network


def without_global_batch_norm(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Replaces each `BatchNormWithGlobalNormalization` by a product and a sum.

    GraphDef version 9 removed that operation, so TensorFlow 2 refuses it.
    """
    nodes = {node.name: node for node in graph.node}

    def value(name):
        node = nodes[name.split(":")[0]]
        if node.op == "Identity":
            return value(node.input[0])
        return tf.make_ndarray(node.attr["value"].tensor)

    result = v1.GraphDef()
    for node in graph.node:
        if node.op != "BatchNormWithGlobalNormalization":
            result.node.add().CopyFrom(node)
            continue
        mean, variance, beta, gamma = (value(name) for name in node.input[1:5])
        scale = 1 / np.sqrt(variance.astype(np.float64) + node.attr["variance_epsilon"].f)
        if node.attr["scale_after_normalization"].b:
            scale = scale * gamma
        for name, constant in (("scale", scale), ("shift", beta - mean * scale)):
            added = result.node.add(name=f"{node.name}/{name}", op="Const")
            added.attr["dtype"].type = FLOAT
            added.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(constant.astype(np.float32)))
        product = f"{node.name}/product"
        for name, operation, inputs in (
            (product, "Mul", [node.input[0], f"{node.name}/scale"]),
            (node.name, "Add", [product, f"{node.name}/shift"]),
        ):
            result.node.add(name=name, op=operation, input=inputs).attr["T"].type = FLOAT
    return result
