"""What a server computes: images of classes and seeds, PNG files, images of latents, attention.

One graph computes everything; a signature names its inputs and outputs. Each of them has one row
per image, because the server joins requests into batches. An image depends on its own row alone.
"""

import tensorflow as tf

from keras_sagan.layers import SelfAttention
from keras_sagan.networks.network import Network
from keras_sagan.sampling.sampler import latents_of_rows, to_uint8


def signatures(generator: Network) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """The names of the inputs and outputs of each signature.

    - `serving_default`: `labels`, `seeds` to `images`, uint8 `[n, height, width, channels]`.
    - `png`: `labels`, `seeds` to `image_bytes`, files.
    - `latents`: `labels`, `latents` to `images`, float32 in [-1, 1].
    - `attention`, if the generator has any: `labels`, `seeds` to `images`, uint8, and `attention`,
      float32 `[n, queries, keys]`, of its last attention layer. An earlier layer, e.g. at 32x32,
      has the output `attention_32`.

    A generator without classes takes no `labels`.

    Returns:
        Name of the signature to inputs and outputs, each from name to name in `outputs_of`.
    """
    labels = {"labels": "labels"} if generator.num_classes else {}
    seeds = labels | {"seeds": "seeds"}
    found = {
        "serving_default": (seeds, {"images": "levels"}),
        # REST sends strings as base64 if their name ends in `_bytes`.
        "png": (seeds, {"image_bytes": "image_bytes"}),
        "latents": (labels | {"latents": "latents"}, {"images": "images"}),
    }
    maps = attention_names(generator).values()
    if maps:
        found["attention"] = (seeds, {"images": "levels"} | {name: name for name in maps})
    return found


def attention_names(generator: Network) -> dict[str, str]:
    """Name of each attention layer to the name of its output."""
    layers = [layer.name for layer in generator.stack if isinstance(layer, SelfAttention)]
    return {name: "attention" if name == layers[-1] else name for name in layers}


def outputs_of(
    generator: Network, seeds: tf.Tensor, labels: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """Every input and output of a signature, by name.

    Args:
        generator: network.
        seeds: int64 `[n]`, see `latents_of_rows`.
        labels: int64 `[n]`; None for a generator without classes. A label out of range is an error.
    """
    inputs = {"seeds": seeds} if labels is None else {"seeds": seeds, "labels": labels}
    latents = tf.identity(latents_of_rows(seeds, *generator.example_shape))
    if labels is not None:
        labels = check_labels(labels, tf.shape(latents)[0], generator.num_classes)
    images, attention = with_attention(generator, latents, labels)
    levels = to_uint8(images)
    own = {"latents": latents, "images": images, "levels": levels}
    return inputs | own | {"image_bytes": tf.io.encode_png(levels)} | attention


def check_labels(labels: tf.Tensor, rows: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Casts labels, int64 `[n]`, for the network; wrong ones are an error of the graph.

    The scalar `rows` must be n. Otherwise a single label would apply to all rows.
    """
    outside = tf.boolean_mask(labels, (labels < 0) | (labels >= num_classes))
    given = tf.size(labels)
    range_text = f"expected labels in 0...{num_classes - 1}. Received: {{}}"
    count_text = "expected {} labels. Received: {}"
    inside = tf.equal(tf.size(outside), 0)
    checks = [
        # Only texts: with numbers among its data, an assertion becomes a branch of the graph.
        tf.debugging.Assert(inside, [tf.strings.format(range_text, outside)]),
        tf.debugging.Assert(tf.equal(given, rows), [tf.strings.format(count_text, (rows, given))]),
    ]
    with tf.control_dependencies(checks):
        return tf.cast(labels, tf.int32)


def with_attention(generator, latents, labels) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Images in [-1, 1], and the attention maps behind them by `attention_names`."""
    inputs, images = generator.layer_inputs(latents, labels)
    layers = {layer.name: layer for layer in generator.stack}
    names = attention_names(generator).items()
    return images, {own: layers[name].attention_map(inputs[name]) for name, own in names}
