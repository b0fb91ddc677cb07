"""A convolution and a change of resolution at once, against one after the other."""

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.layers import SpectralConv2D
from keras_sagan.layers.resample import FUSED, PLAIN

# Even, odd, oblong, and single pixels.
SIZES = [(4, 6), (5, 7), (4, 5), (2, 2), (1, 1), (1, 4)]


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def results(form, images, kernel, dtype="float32"):
    """Outputs, and gradients in images and kernel."""
    images, kernel = tf.cast(images, dtype), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        outputs = form(images, kernel)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * random(*outputs.shape))
    return [outputs, *tape.gradient(loss, [images, kernel])]


@pytest.mark.parametrize("change", FUSED)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("size", SIZES)
def test_fused_form_equals_the_plain_one(change, kernel_size, size):
    images, kernel = random(2, *size, 3), random(kernel_size, kernel_size, 3, 4)
    if change == "down" and min(size) == 1:
        assert 0 in FUSED[change](images, kernel).shape
        return
    for fused, plain in zip(
        results(FUSED[change], images, kernel), results(PLAIN[change], images, kernel), strict=True
    ):
        np.testing.assert_allclose(fused, plain, rtol=0, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("change", ["up", "down"])
def test_fused_form_rounds_its_kernel_once(change):
    """In bfloat16 the sums of a kernel's squares are float32 sums, rounded.

    A single pixel makes outputs the entries of the kernel that is used, of which the inner ones
    are what is left of four numbers near 1 and -1.
    """
    images = np.zeros((1, 4, 6, 1), "float32")
    images[0, 1, 2] = 1
    signs = np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])[..., None, None]
    kernel = (signs + 0.01 * random(3, 3, 1, 4)).astype("float32")
    low = results(FUSED[change], images, kernel, "bfloat16")
    assert [value.dtype for value in low] == [tf.bfloat16, tf.bfloat16, tf.float32]
    exact = results(PLAIN[change], images, kernel)
    np.testing.assert_allclose(np.asarray(low[0], "float32"), exact[0], rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("change", ["up", "down"])
def test_fused_form_is_one_convolution_of_stride_two(change):
    images = tf.TensorSpec((None, 4, 6, 3), tf.float32)
    for form, count in ((FUSED[change], 1), (PLAIN[change], 0)):
        kernel = tf.constant(random(3, 3, 3, 4))
        trace = tf.function(lambda x, form=form, kernel=kernel: form(x, kernel))
        graph = trace.get_concrete_function(images).graph
        strides = [
            list(operation.get_attr("strides"))
            for operation in graph.get_operations()
            if operation.type in ("Conv2D", "Conv2DBackpropInput")
        ]
        assert strides == ([[1, 2, 2, 1]] if count else [[1, 1, 1, 1]])


def test_an_unknown_change_is_refused():
    with pytest.raises(ValueError, match=r"`resample` must be one of .* Received: resample='half'"):
        SpectralConv2D(3, resample="half")
