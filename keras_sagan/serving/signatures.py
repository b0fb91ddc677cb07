"""What a server computes: images of classes and seeds, PNG files, images of latents, attention.

One graph computes all; a signature names what of it is fed and what is fetched. Every input and
output has a row for each image, since the server joins requests to batches, and an image depends on
its own row alone.
"""

import tensorflow as tf

from keras_sagan.layers import SelfAttention
from keras_sagan.sampling.sampler import latents_of_rows, to_uint8


def signatures(generator):
    """The names of inputs and outputs of each signature.

    - `serving_default`: `labels`, `seeds` to `images`, uint8 `[n, height, width, channels]`.
    - `png`: `labels`, `seeds` to `image_bytes`, files.
    - `latents`: `labels`, `latents` to `images`, float32 in [-1, 1].
    - `attention`, where the generator has any: `labels`, `seeds` to `images`, uint8, and
      `attention`, float32 `[n, queries, keys]`, of its last attention layer. That of an earlier
      one, at 32x32, is `attention_32`.

    A generator without classes takes no `labels`.

    Returns:
        dict: signature to a pair of dicts, inputs and outputs, of name to name in `outputs_of`.
    """
    labels = {"labels": "labels"} if generator.num_classes else {}
    seeds = labels | {"seeds": "seeds"}
    found = {
        "serving_default": (seeds, {"images": "levels"}),
        # REST sends strings as base64 where their name ends in `_bytes`.
        "png": (seeds, {"image_bytes": "image_bytes"}),
        "latents": (labels | {"latents": "latents"}, {"images": "images"}),
    }
    maps = attention_names(generator).values()
    if maps:
        found["attention"] = (seeds, {"images": "levels"} | {name: name for name in maps})
    return found


def attention_names(generator):
    """The name of the attention of each layer that has any, by the layer's name."""
    layers = [layer.name for layer in generator.stack if isinstance(layer, SelfAttention)]
    return {name: "attention" if name == layers[-1] else name for name in layers}


def outputs_of(generator, seeds, labels=None):
    """Everything that a signature feeds or fetches, by name.

    Args:
        generator: network.
        seeds: int64 `[n]`, see `latents_of_rows`.
        labels: int64 `[n]`; None for a generator without classes. A label outside the classes is an
            error.
    """
    inputs = {"seeds": seeds} if labels is None else {"seeds": seeds, "labels": labels}
    latents = tf.identity(latents_of_rows(seeds, *generator.example_shape))
    if labels is not None:
        labels = checked(labels, tf.shape(latents)[0], generator.num_classes)
    images, attention = with_attention(generator, latents, labels)
    levels = to_uint8(images)
    return {
        **inputs,
        "latents": latents,
        "images": images,
        "levels": levels,
        "image_bytes": tf.io.encode_png(levels),
        **attention,
    }


def checked(labels, rows, num_classes):
    """Labels as the network takes them; an error of the graph if they are wrong.

    Args:
        labels: int64 `[n]`.
        rows: scalar tensor, which must be n. Otherwise one label would be that of all rows.
        num_classes: int.
    """
    outside = tf.boolean_mask(labels, (labels < 0) | (labels >= num_classes))
    given = tf.size(labels)
    range_text = f"expected labels in 0...{num_classes - 1}. Received: {{}}"
    count_text = "expected {} labels. Received: {}"
    checks = [
        # Texts alone: with numbers among its data an assertion becomes a branch of the graph.
        tf.debugging.Assert(
            tf.equal(tf.size(outside), 0), [tf.strings.format(range_text, outside)]
        ),
        tf.debugging.Assert(tf.equal(given, rows), [tf.strings.format(count_text, (rows, given))]),
    ]
    with tf.control_dependencies(checks):
        return tf.cast(labels, tf.int32)


def with_attention(generator, latents, labels):
    """Images in [-1, 1], and where they were attended to: a dict by `attention_names`."""
    inputs, images = generator.layer_inputs(latents, labels)
    names = attention_names(generator)
    found = {
        names[layer.name]: layer.attention_map(inputs[layer.name])
        for layer in generator.stack
        if layer.name in names
    }
    return images, found
