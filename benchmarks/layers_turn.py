"""One turn of `benchmarks.layers`: one implementation, measured in a process of its own.

TensorFlow and Keras are imported late: TensorFlow Addons needs an alias before them.
"""

import sys
import time

import numpy as np

from benchmarks import apart

# Part of its norm by which a kernel changes in one step of the training below.
STEP = 0.01


def measure(part, layer, **settings):
    """Figures of a layer, a dict; see the function of each part."""
    measures = {"spectral": measure_spectral, "attention": measure_attention}
    if part in measures:
        return measures[part](layer, **settings)
    return measure_blocks(layer, part.removeprefix("blocks_"), **settings)


class Ours:
    """A convolution with a spectrally normalized kernel, seen alike for every implementation.

    Args:
        filters: int, output channels.
        input_shape: `[batch, height, width, channels]`, a tuple.
    """

    def __init__(self, filters, input_shape):
        from keras_sagan.layers import SpectralConv2D

        self.layer = SpectralConv2D(filters, use_bias=False)
        self.layer.build(input_shape)
        self.kernel, self.vector_u = self.layer.kernel, self.layer.vector_u

    def train(self, images):
        """Outputs of a training call, and the kernel that it convolved with."""
        kernel = self.layer.normalized_kernel()
        return self.layer(images, advance_u=True), kernel


class StockKeras:
    """The same with `keras.layers.SpectralNormalization`."""

    def __init__(self, filters, input_shape):
        import keras

        conv = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)
        self.layer = keras.layers.SpectralNormalization(conv)
        self.layer.build(input_shape)
        self.kernel, self.vector_u = conv.kernel, self.layer.vector_u

    def train(self, images):
        # The call overwrites the kernel with what it uses.
        return self.layer(images, training=True), self.kernel + 0


class Addons(StockKeras):
    """The same with TensorFlow Addons, in a process with `TF_USE_LEGACY_KERAS=1`."""

    def __init__(self, filters, input_shape):
        import tf_keras.src.engine

        # The name by which Addons imports what tf_keras now holds.
        sys.modules["keras.src.engine"] = tf_keras.src.engine
        import tensorflow_addons

        conv = tf_keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)
        self.layer = tensorflow_addons.layers.SpectralNormalization(conv)
        self.layer.build(input_shape)
        self.kernel, self.vector_u = conv.kernel, self.layer.u


SPECTRAL = {"keras_sagan": Ours, "keras": StockKeras, "tensorflow_addons": Addons}


def measure_spectral(layer, image_size, channels, batch_size, steps):
    """What spectral normalization does to a kernel, to its gradient, and to time.

    Returns:
        dict: `sigma_errors`, |s - 1| by step, s being the largest singular value of the kernel
        that a training call convolves with; `gradient_distance`, of the gradient in the kernel
        from that of W / sigma(W) with the true sigma, over the norm of the latter, at converged
        u; `gradient_cosine`, of the same two; `kernel_change`, by which two training calls move
        the kernel, over its norm; milliseconds and memory.
    """
    shape = (batch_size, image_size, image_size, channels)
    rng = np.random.default_rng(0)
    images, cotangent = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    scale = 1 / (3 * channels**0.5)  # Glorot's, as at the start of training.
    kernel, teacher = (
        rng.normal(size=(3, 3, channels, channels), scale=scale).astype(np.float32)
        for _ in range(2)
    )
    random_u = rng.normal(size=(1, channels))
    conv = SPECTRAL[layer](channels, shape)
    result = compared_gradients(conv, images, cotangent, kernel)
    conv.kernel.assign(kernel)
    for _ in range(2):
        conv.train(images)
    result["kernel_change"] = distance(conv.kernel.numpy(), kernel)
    conv.kernel.assign(kernel)
    conv.vector_u.assign(random_u)
    result["sigma_errors"] = sigma_errors(conv, images, teacher, steps)
    return result | timed(
        lambda images: conv.train(images)[0], conv.kernel, images, cotangent, steps
    )


def compared_gradients(conv, images, cotangent, kernel):
    import tensorflow as tf

    conv.kernel.assign(kernel)
    _, _, right = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))
    conv.vector_u.assign(right[:1])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(conv.train(images)[0] * cotangent)
    gradient = tape.gradient(loss, conv.kernel).numpy()
    expected = true_gradient(images, cotangent, kernel)
    cosine = np.sum(gradient * expected) / np.linalg.norm(gradient) / np.linalg.norm(expected)
    return {
        "gradient_distance": distance(gradient, expected),
        "gradient_cosine": float(cosine),
    }


def true_gradient(images, cotangent, kernel):
    """By autodiff through a singular value decomposition."""
    import tensorflow as tf

    kernel = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
        sigma = tf.linalg.svd(matrix, compute_uv=False)[0]
        outputs = tf.nn.conv2d(images, kernel / sigma, 1, "SAME")
        loss = tf.reduce_sum(outputs * cotangent)
    return tape.gradient(loss, kernel).numpy()


def sigma_errors(conv, images, teacher, steps):
    """By step, while the convolution learns to do what one with the kernel `teacher` does."""
    import tensorflow as tf

    teacher = teacher / np.linalg.norm(teacher.reshape(-1, teacher.shape[-1]), 2)
    targets = tf.nn.conv2d(images, teacher, 1, "SAME")
    errors = {}
    for step in range(1, steps + 1):
        with tf.GradientTape() as tape:
            outputs, used = conv.train(images)
            loss = tf.reduce_mean(tf.math.squared_difference(outputs, targets))
        if step in (1, 3, 10, 30, 100, 300, steps):
            largest = np.linalg.norm(used.numpy().reshape(-1, teacher.shape[-1]), 2)
            errors[str(step)] = float(abs(largest - 1))
        gradient = tape.gradient(loss, conv.kernel).numpy()
        kernel = conv.kernel.numpy()
        size = STEP * np.linalg.norm(kernel) / np.linalg.norm(gradient)
        conv.kernel.assign(kernel - size * gradient)
    return errors


def distance(value, expected):
    return float(np.linalg.norm(value - expected) / np.linalg.norm(expected))


def measure_attention(layer, image_size, channels, batch_size, steps):
    """Self-attention without spectral normalization, ours or that of `keras_naive`.

    Returns:
        dict: `output_distance` and `gradient_distance` (in the inputs), from those of ours with
        the same weights, over their norm; milliseconds and memory.
    """
    shape = (batch_size, image_size, image_size, channels)
    rng = np.random.default_rng(0)
    images, cotangent = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    ours, stock = attention_pair(shape)
    attention = {"keras_sagan": ours, "keras_naive": stock}[layer]
    result = timed(attention, attention.gamma, images, cotangent, steps)
    values = [outputs_and_gradient(each, images, cotangent) for each in (attention, ours)]
    names = ("output_distance", "gradient_distance")
    return dict(zip(names, map(distance, *values), strict=True)) | result


def attention_pair(shape):
    """Ours and that of `keras_naive`, with equal weights and a gamma that is not zero."""
    import keras

    from benchmarks import keras_naive
    from keras_sagan.layers import SelfAttention

    keras.utils.set_random_seed(0)
    ours = SelfAttention(normalize=False)
    stock = keras_naive.SelfAttention(wrap=lambda conv: conv)
    for attention in (ours, stock):
        attention(np.zeros((1, *shape[1:]), np.float32))
    ours.gamma.assign(0.5)
    stock.gamma.assign(0.5)
    for name in ("query", "key", "value", "output_projection"):
        getattr(stock, name).kernel.assign(getattr(ours, name).kernel)
    return ours, stock


def outputs_and_gradient(layer, images, cotangent):
    import tensorflow as tf

    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
        loss = tf.reduce_sum(outputs * cotangent)
    return outputs.numpy(), tape.gradient(loss, images).numpy()


def measure_blocks(layer, dtype, image_size, channels, batch_size, steps):
    """Attention of queries to keys alone, in blocks as `SelfAttention` does it, or at once.

    Returns:
        dict: `extra_mib`, most memory of the first pass forward and back besides its inputs;
        milliseconds and memory.
    """
    import tensorflow as tf

    from keras_sagan.layers import attend

    function = {"keras_sagan": attend.attend, "at_once": attend.attend_at_once}[layer]

    def inputs(size):
        rng = np.random.default_rng(0)
        shapes = [(size**2, channels // 8), (size**2 // 4, channels // 8)]
        shapes += [(size**2 // 4, channels // 2), (size**2, channels // 2)]
        return [tf.cast(rng.normal(size=(batch_size, *shape)), dtype) for shape in shapes]

    @tf.function
    def both_ways(*values):
        with tf.GradientTape() as tape:
            tape.watch(values[:3])
            outputs = function(*values[:3])
        return tape.gradient(outputs, values[:3], values[3])

    values = inputs(image_size)
    both_ways.get_concrete_function(*values)  # The trace is not the pass's memory, nor is
    both_ways(*inputs(2))  # what the runtime takes once.
    before = apart.reset_peak()
    both_ways(*values)[0].numpy()
    extra = apart.peaks()["host_peak_mib"] - before
    return {"extra_mib": apart.rounded(extra)} | timings(lambda: both_ways(*values), steps)


def timed(function, weight, images, cotangent, steps):
    """Milliseconds of a pass forward and back, as one graph, and peak memory."""
    import tensorflow as tf

    images, cotangent = tf.constant(images), tf.constant(cotangent)

    @tf.function
    def both_ways():
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(function(images) * cotangent)
        return tape.gradient(loss, [images, weight])

    return timings(both_ways, steps)


def timings(function, steps):
    """Milliseconds of calls whose results are brought to Python, and peak memory."""
    from keras_sagan.devices.strategy import device_name

    seconds = []
    for _ in range(steps + 3):
        begun = time.perf_counter()
        for result in function():
            result.numpy()
        seconds.append(time.perf_counter() - begun)
    p50, p95 = np.percentile(seconds[3:], [50, 95]) * 1000
    timing = {"ms_p50": float(p50), "ms_p95": float(p95)}
    return timing | apart.peaks() | {"device": device_name()}


if __name__ == "__main__":
    apart.answer(measure)
