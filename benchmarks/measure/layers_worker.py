"""One measurement of `benchmarks.layers`: one implementation of one layer.

TensorFlow and Keras are imported late: TensorFlow Addons needs an alias before them.
"""

import time

import numpy as np

from benchmarks.measure.layers_spectral import (
    CONVOLUTIONS,
    compare_gradients,
    relative_distance,
    sigma_errors,
)
from benchmarks.measure.subprocesses import (
    answer_request,
    peak_memory,
    reset_peak_memory,
    round_digits,
)


def measure_layer(part, layer, shape, steps):
    """Figures of an implementation of a layer, a dict; see the function of each part.

    `part` is "spectral", "attention" or "blocks_DTYPE", `shape` is the feature maps', `[batch,
    height, width, channels]`, and `steps` counts training steps and timed passes.
    """
    if part == "spectral":
        return measure_spectral(layer, shape, steps)
    if part == "attention":
        return measure_attention(layer, shape, steps)
    return measure_blocks(layer, part.removeprefix("blocks_"), shape, steps)


def measure_spectral(layer, shape, steps):
    """What spectral normalization does to a kernel and to its gradient, and what it costs.

    Returns:
        dict: `sigma_errors`, by step, |s - 1| of the largest singular value s of the kernel that a
        training call convolves with; `gradient_distance`, distance of the kernel's gradient from
        the gradient of W / sigma(W) with the exact sigma, relative to its norm, at converged u;
        `gradient_cosine` of the same two; `kernel_change`, how far two training calls move the
        kernel, relative to its norm; milliseconds and memory.
    """
    rng, channels = np.random.default_rng(0), shape[-1]
    images, cotangent = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    scale = 1 / (3 * channels**0.5)  # Glorot's, as at the start of training.
    size = (3, 3, channels, channels)
    kernel, teacher = (rng.normal(0, scale, size).astype(np.float32) for _ in range(2))
    random_u = rng.normal(size=(1, channels))
    conv = CONVOLUTIONS[layer](channels, tuple(shape))
    result = compare_gradients(conv, images, cotangent, kernel)
    conv.kernel.assign(kernel)
    for _ in range(2):
        conv.call_in_training(images)
    result["kernel_change"] = relative_distance(conv.kernel.numpy(), kernel)
    conv.kernel.assign(kernel)
    conv.vector_u.assign(random_u)
    result["sigma_errors"] = sigma_errors(conv, images, teacher, steps)

    def convolve(images):
        return conv.call_in_training(images)[0]

    return result | time_pass(convolve, conv.kernel, images, cotangent, steps)


def measure_attention(layer, shape, steps):
    """Self-attention without spectral normalization: ours, or the one in `keras_naive`.

    Returns:
        dict: `output_distance` and `gradient_distance` (of the gradient of the inputs) from our
        layer with the same weights, relative to its norm; milliseconds and memory.
    """
    rng = np.random.default_rng(0)
    images, cotangent = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    ours, stock = make_attention_pair(shape)
    attention = {"keras_sagan": ours, "keras_naive": stock}[layer]
    result = time_pass(attention, attention.gamma, images, cotangent, steps)
    values = [outputs_and_gradient(each, images, cotangent) for each in (attention, ours)]
    names = ("output_distance", "gradient_distance")
    return dict(zip(names, map(relative_distance, *values), strict=True)) | result


def make_attention_pair(shape):
    """Our layer and the one in `keras_naive`, with equal weights and a nonzero gamma."""
    import keras

    from benchmarks.keras_naive.stock_layers import NaiveSelfAttention
    from keras_sagan.layers import SelfAttention

    keras.utils.set_random_seed(0)
    ours = SelfAttention(normalize=False)
    stock = NaiveSelfAttention(wrap=lambda conv: conv)
    for attention in (ours, stock):
        attention(np.zeros((1, *shape[1:]), np.float32))
    ours.gamma.assign(0.5)
    stock.gamma.assign(0.5)
    for name in ("query", "key", "value", "output_projection"):
        getattr(stock, name).kernel.assign(getattr(ours, name).kernel)
    return ours, stock


def outputs_and_gradient(layer, images, cotangent):
    """Outputs, and the gradient of the inputs."""
    import tensorflow as tf

    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
        loss = tf.reduce_sum(outputs * cotangent)
    return outputs.numpy(), tape.gradient(loss, images).numpy()


def measure_blocks(layer, dtype, shape, steps):
    """The attention of queries to keys alone: in blocks, as in `SelfAttention`, or at once.

    Returns:
        dict: `extra_mib`, peak memory of the first pass forward and backward, without its inputs;
        milliseconds and memory.
    """
    import tensorflow as tf

    from keras_sagan.layers import attend

    function = {"keras_sagan": attend.attend, "at_once": attend.attend_at_once}[layer]
    batch_size, image_size, _, channels = shape

    def make_inputs(size):
        rng = np.random.default_rng(0)
        shapes = [(size**2, channels // 8), (size**2 // 4, channels // 8)]
        shapes += [(size**2 // 4, channels // 2), (size**2, channels // 2)]
        return [tf.cast(rng.normal(size=(batch_size, *shape)), dtype) for shape in shapes]

    @tf.function
    def run_pass(*values):
        with tf.GradientTape() as tape:
            tape.watch(values[:3])
            outputs = function(*values[:3])
        return tape.gradient(outputs, values[:3], values[3])

    values = make_inputs(image_size)
    # Neither the trace nor what the runtime allocates once belongs to the memory of a pass.
    run_pass.get_concrete_function(*values)
    run_pass(*make_inputs(2))
    before = reset_peak_memory()
    run_pass(*values)[0].numpy()
    extra = peak_memory()["host_peak_mib"] - before
    return {"extra_mib": round_digits(extra)} | time_calls(lambda: run_pass(*values), steps)


def time_pass(function, weight, images, cotangent, steps):
    """Milliseconds of a pass forward and backward as one graph, and peak memory."""
    import tensorflow as tf

    images, cotangent = tf.constant(images), tf.constant(cotangent)

    @tf.function
    def run_pass():
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(function(images) * cotangent)
        return tape.gradient(loss, [images, weight])

    return time_calls(run_pass, steps)


def time_calls(function, steps):
    """Milliseconds of calls, including the transfer of their results, and peak memory."""
    from keras_sagan.devices.strategy import device_name

    seconds = []
    for _ in range(steps + 3):
        begun = time.perf_counter()
        for result in function():
            result.numpy()
        seconds.append(time.perf_counter() - begun)
    p50, p95 = np.percentile(seconds[3:], [50, 95]) * 1000
    timing = {"ms_p50": float(p50), "ms_p95": float(p95)}
    return timing | peak_memory() | {"device": device_name()}


if __name__ == "__main__":
    answer_request(measure_layer)
