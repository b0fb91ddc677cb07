"""Four implementations of spectral normalization behind one interface, and their exactness.

TensorFlow and Keras are imported late: TensorFlow Addons needs an alias before them.
"""

import sys

import numpy as np

# Fraction of its norm by which a kernel changes in one step of the training below.
STEP = 0.01
# Steps after which the error of sigma is recorded; the last step is always recorded.
RECORDED_STEPS = (1, 3, 10, 30, 100, 300)


class OurConv:
    """A convolution with a spectrally normalized kernel; the interface of all implementations.

    `input_shape` is `[batch, height, width, channels]`, a tuple.
    """

    def __init__(self, filters, input_shape):
        from keras_sagan.layers import SpectralConv2D

        self.layer = SpectralConv2D(filters, use_bias=False)
        self.layer.build(input_shape)
        self.kernel, self.vector_u = self.layer.kernel, self.layer.vector_u

    def call_in_training(self, images):
        """Outputs of a training call, and the kernel that it convolved with."""
        kernel = self.layer.normalized_kernel()
        return self.layer(images, advance_u=True), kernel


class OurWrapper(OurConv):
    """The same with `keras_sagan.layers.SpectralNormalization`."""

    def __init__(self, filters, input_shape):
        import keras

        from keras_sagan.layers import SpectralNormalization

        conv = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)
        self.layer = SpectralNormalization(conv)
        self.layer.build(input_shape)
        self.kernel, self.vector_u = self.layer.kernel, self.layer.vector_u


class KerasConv:
    """The same with `keras.layers.SpectralNormalization`."""

    def __init__(self, filters, input_shape):
        import keras

        conv = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)
        self.layer = keras.layers.SpectralNormalization(conv)
        self.layer.build(input_shape)
        self.kernel, self.vector_u = conv.kernel, self.layer.vector_u

    def call_in_training(self, images):
        # The call overwrites the kernel with the one it uses.
        return self.layer(images, training=True), self.kernel + 0


class AddonsConv(KerasConv):
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


CONVOLUTIONS = {
    "keras_sagan": OurConv,
    "keras_sagan_wrapper": OurWrapper,
    "keras": KerasConv,
    "tensorflow_addons": AddonsConv,
}


def compare_gradients(conv, images, cotangent, kernel):
    """Distance and cosine between a convolution's gradient and the exact one, at converged u."""
    import tensorflow as tf

    conv.kernel.assign(kernel)
    _, _, right = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))
    conv.vector_u.assign(right[:1])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(conv.call_in_training(images)[0] * cotangent)
    gradient = tape.gradient(loss, conv.kernel).numpy()
    expected = exact_gradient(images, cotangent, kernel)
    distance = relative_distance(gradient, expected)
    cosine = np.sum(gradient * expected) / np.linalg.norm(gradient) / np.linalg.norm(expected)
    return {"gradient_distance": distance, "gradient_cosine": float(cosine)}


def exact_gradient(images, cotangent, kernel):
    """The kernel's gradient, by autodiff through a singular value decomposition."""
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
    """|sigma - 1| of the kernel in use, by step, while it learns to imitate kernel `teacher`."""
    import tensorflow as tf

    teacher = teacher / np.linalg.norm(teacher.reshape(-1, teacher.shape[-1]), 2)
    targets = tf.nn.conv2d(images, teacher, 1, "SAME")
    errors = {}
    for step in range(1, steps + 1):
        with tf.GradientTape() as tape:
            outputs, used = conv.call_in_training(images)
            loss = tf.reduce_mean(tf.math.squared_difference(outputs, targets))
        if step in (*RECORDED_STEPS, steps):
            largest = np.linalg.norm(used.numpy().reshape(-1, teacher.shape[-1]), 2)
            errors[str(step)] = float(abs(largest - 1))
        gradient = tape.gradient(loss, conv.kernel).numpy()
        kernel = conv.kernel.numpy()
        size = STEP * np.linalg.norm(kernel) / np.linalg.norm(gradient)
        conv.kernel.assign(kernel - size * gradient)
    return errors


def relative_distance(value, expected):
    """Norm of the difference, relative to the norm of `expected`."""
    return float(np.linalg.norm(value - expected) / np.linalg.norm(expected))
