"""A small SavedModel with the signatures of an exported generator, whose images are known."""

import numpy as np
import tensorflow as tf

CLASSES, SIZE, Z_DIM = 10, 4, 2
NAMES = ["ant", "bee", "black, white", "Käfer", "\N{CAT FACE}", "猫", "1", "x", "y", "z"]


def image(label, seed, channels=3):
    """What the model makes of a label and a seed, uint8 `[SIZE, SIZE, channels]`."""
    pixels = np.zeros((SIZE, SIZE, channels), np.uint8)
    pixels[..., 0] = label * 20 + seed % 10
    pixels[0, 0, 0] = 255  # So that a flipped image is another one.
    return pixels


class Tiny(tf.Module):
    """The same in a graph.

    Args:
        has_classes: bool, whether signatures have `labels`.
        channels: int.
        has_names: bool, whether the signature `classes` tells `NAMES`.
    """

    def __init__(self, has_classes=True, channels=3, has_names=False):
        super().__init__()
        self.has_names = has_names
        self.has_classes, self.channels = has_classes, channels
        self.scale = tf.Variable(20, dtype=tf.int64)  # A weight, which the server must restore.

    def images(self, labels, seeds):
        inside = tf.reduce_all((labels >= 0) & (labels < CLASSES))
        check = tf.debugging.Assert(inside, [f"labels must be in 0...{CLASSES - 1}", labels])
        with tf.control_dependencies([check]):
            values = tf.cast(labels * self.scale + seeds % 10, tf.uint8)
        corner = tf.one_hot(0, SIZE * SIZE, on_value=True, off_value=False)
        gray = tf.where(corner, tf.constant(255, tf.uint8), values[:, None])
        gray = tf.reshape(gray, [-1, SIZE, SIZE, 1])
        return tf.pad(gray, [[0, 0], [0, 0], [0, 0], [0, self.channels - 1]])

    def png(self, labels, seeds):
        images = self.images(labels, seeds)
        return tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)

    def save(self, path):
        """Writes the SavedModel."""
        seeds = tf.TensorSpec([None], tf.int64, name="seeds")
        latents = tf.TensorSpec([None, Z_DIM], tf.float32, name="latents")
        labels = [tf.TensorSpec([None], tf.int64, name="labels")] if self.has_classes else []

        def signature(make):
            def function(*inputs):
                own = inputs[0] if self.has_classes else tf.zeros_like(inputs[0])
                return make(own, inputs[-1])

            return tf.function(function).get_concrete_function(*labels, seeds)

        def floats(latents, *labels):
            pixels = latents[:, :1, None, None] * tf.ones([SIZE, SIZE, self.channels])
            return {"images": pixels + tf.cast(labels[0], tf.float32) if labels else pixels}

        def attended(labels, seeds):
            rows = tf.ones([tf.size(seeds), SIZE * SIZE, SIZE]) / SIZE
            return {"images": self.images(labels, seeds), "attention": rows}

        def classes(labels):
            return {"class_names": tf.broadcast_to(NAMES, [tf.size(labels), CLASSES])}

        signatures = {
            "serving_default": signature(lambda *both: {"images": self.images(*both)}),
            "png": signature(lambda *both: {"image_bytes": self.png(*both)}),
            "latents": tf.function(floats).get_concrete_function(latents, *labels),
            "attention": signature(attended),
        }
        if self.has_names:
            signatures["classes"] = tf.function(classes).get_concrete_function(*labels)
        tf.saved_model.save(self, str(path), signatures=signatures)
