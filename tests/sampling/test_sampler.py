"""Images of a generator, in batches that memory holds."""

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.errors import RunError
from keras_sagan.sampling.sampler import make_sampler, sampling_batch_size


class Greedy:
    """Images that are their label. Memory does not hold more than `most` at a time."""

    def __init__(self, most):
        self.most, self.asked = most, []

    def __call__(self, latents, labels, training):
        assert not training
        # TensorFlow's own allocator would try for ten seconds.
        labels = tf.numpy_function(self.hold, [labels], tf.int32)
        levels = tf.cast(labels, tf.float32) / 127.5 - 1
        return tf.broadcast_to(levels[:, None, None, None], [tf.shape(latents)[0], 2, 2, 1])

    def hold(self, labels):
        self.asked.append(len(labels))
        if len(labels) > self.most:
            raise MemoryError("too many")
        return labels


def draw(generator, *counts):
    sample = make_sampler(generator)
    for count in counts:
        labels = np.arange(count, dtype=np.int32) % 256
        images = sample(np.zeros([count, 3], np.float32), labels)
        assert images.dtype == np.uint8
        expected = np.broadcast_to(labels[:, None, None, None], [count, 2, 2, 1])
        np.testing.assert_array_equal(images, expected)
    return generator.asked


def test_as_many_images_together_as_memory_holds():
    assert draw(Greedy(256), 256 + 3) == [256, 3]
    assert draw(Greedy(70), 256, 65, 5) == [256, 128, *[64] * 4, 64, 1, 5]
    assert draw(Greedy(3), 10) == [10, 5, *[2] * 5]


def test_fewer_of_larger_images():
    sizes = {16: 256, 64: 256, 128: 64, 512: 4, 4096: 1}
    assert {size: sampling_batch_size(size, size) for size in sizes} == sizes


def test_no_memory_for_an_image_is_said():
    with pytest.raises(RunError, match="^out of memory for a single image: .*too many"):
        draw(Greedy(0), 5)
