"""What a forward pass costs."""

import math
from typing import Any

import tensorflow as tf

from keras_sagan.networks.network import Network


def costs(network: Network) -> dict[str, int]:
    """`parameters`, the trainable ones, and `macs`, as of `forward_macs`."""
    sizes = [variable.value.shape.num_elements() for variable in network.trainable_variables]
    return {"parameters": sum(sizes), "macs": forward_macs(network)}


def forward_macs(network: Network) -> int:
    """Counts the multiply-accumulates of all convolutions and matrix products for one image.

    It counts what is computed, so a network with `fast` has fewer. What does not depend on the
    inputs, such as power iterations, is done once a batch and excluded.
    """
    inputs = tf.TensorSpec((1, *network.example_shape), tf.float32)
    labels = tf.TensorSpec((1,), tf.int32)
    graph = tf.function(network).get_concrete_function(inputs, labels).graph
    return sum(map(macs_of, dependent_operations(graph)))


def dependent_operations(graph: Any) -> list[Any]:
    """The operations of a traced function whose results depend on its inputs."""
    # A resource holds a variable, which is the same for every batch.
    dependent = {tensor.ref() for tensor in graph.inputs if tensor.dtype != tf.resource}
    operations = []
    for operation in graph.get_operations():  # Each comes after those whose outputs it takes.
        if any(tensor.ref() in dependent for tensor in operation.inputs):
            operations.append(operation)
            dependent.update(tensor.ref() for tensor in operation.outputs)
    return operations


def macs_of(operation: Any) -> int:
    """Outputs of a graph operation, times the products summed in each."""
    shapes = [tensor.shape.as_list() for tensor in operation.inputs]
    outputs = math.prod(operation.outputs[0].shape.as_list()) if operation.outputs else 0
    if operation.type == "StatelessWhile":  # Attention in blocks; the second input counts them.
        body = sum(map(macs_of, operation._body_graph.get_operations()))
        return body * int(tf.get_static_value(operation.inputs[1]))
    if operation.type == "Conv2D":
        return outputs * math.prod(shapes[1][:3])
    if operation.type == "Conv2DBackpropInput":  # A transposed convolution: each input spreads.
        return math.prod(shapes[2]) * math.prod(shapes[1][:3])
    if operation.type in ("MatMul", "BatchMatMulV2"):
        transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
        return outputs * shapes[0][-2 if transposed else -1]
    return 0
