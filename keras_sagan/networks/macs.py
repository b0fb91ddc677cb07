"""What a forward pass costs."""

import math

import tensorflow as tf


def costs(network):
    """Trainable parameters, and multiply-accumulates of one image forward, by name."""
    parameters = sum(
        variable.value.shape.num_elements() for variable in network.trainable_variables
    )
    return {"parameters": parameters, "macs": forward_macs(network)}


def forward_macs(network):
    """Multiply-accumulates of one image's evaluation: all convolutions and matrix products.

    Those that are made: a network made with `fast` needs fewer. Counted on the traced graph, as the
    cost of two images less that of one, which leaves out what does not depend on the batch, as
    power iterations.
    """
    one, two = (
        sum(macs_of(operation) for operation in traced_operations(network, batch))
        for batch in (1, 2)
    )
    return two - one


def traced_operations(network, batch):
    inputs = tf.TensorSpec((batch, *network.example_shape), tf.float32)
    labels = tf.TensorSpec((batch,), tf.int32)
    return tf.function(network).get_concrete_function(inputs, labels).graph.get_operations()


def macs_of(operation):
    """Outputs, times the products that are summed in each."""
    shapes = [tensor.shape.as_list() for tensor in operation.inputs]
    outputs = math.prod(operation.outputs[0].shape.as_list()) if operation.outputs else 0
    if operation.type == "StatelessWhile":  # Attention in blocks; its second input is their number.
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
