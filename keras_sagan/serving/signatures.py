"""What a server computes: images of classes and seeds, PNG files, attention, names of classes.

One graph computes everything; a signature names its inputs and outputs. Each of them has one row
per image, because the server joins requests into batches. An image depends on its own row alone.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_sagan.layers import SelfAttention
from keras_sagan.networks.network import Network
from keras_sagan.sampling.sampler import latents_of_rows, to_uint8

# Of the inputs or outputs of a signature: name to name in `outputs_of`.
Names = dict[str, str]


def signatures(
    generator: Network, class_names: Sequence[str] | None
) -> dict[str, tuple[Names, Names]]:
    """The names of the inputs and outputs of each signature.

    - `serving_default`: `labels`, `seeds` to `images`, uint8 `[n, height, width, channels]`.
    - `png`: `labels`, `seeds` to `image_bytes`, files.
    - `latents`: `labels`, `latents` to `images`, float32 in [-1, 1].
    - `attention`, if the generator has any: `labels`, `seeds` to `images`, uint8, and `attention`,
      float32 `[n, queries, keys]`, of its last attention layer. An earlier layer, e.g. at 32x32,
      has the output `attention_32`.
    - `classes`, if the names of classes are known: `labels` of any value to `class_names`, text
      `[n, classes]`. Every row lists all names in label order.

    A generator without classes takes no `labels`.

    Returns:
        Name of the signature to inputs and outputs.
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
    if labels and class_names:
        found["classes"] = (labels, {"class_names": "class_names"})
    return found


def attention_names(generator: Network) -> dict[str, str]:
    """Name of each attention layer to the name of its output."""
    layers = [layer.name for layer in generator.stack if isinstance(layer, SelfAttention)]
    return {name: "attention" if name == layers[-1] else name for name in layers}


def outputs_of(
    generator: Network,
    class_names: Sequence[str] | None,
    seeds: tf.Tensor,
    labels: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Every input and output of a signature, by name.

    Args:
        generator: network.
        class_names: of all its classes, or None.
        seeds: int64 `[n]`, see `latents_of_rows`.
        labels: int64 `[n]`; None for a generator without classes. A label out of range is an error.
    """
    inputs = {"seeds": seeds} if labels is None else {"seeds": seeds, "labels": labels}
    latents = tf.identity(latents_of_rows(seeds, *generator.example_shape))
    named = {}
    if labels is not None:
        if class_names:
            named["class_names"] = repeat_names(class_names, tf.size(labels))
        labels = check_labels(labels, tf.shape(latents)[0], generator.num_classes)
    images, attention = with_attention(generator, latents, labels)
    levels = to_uint8(images)
    own = {"latents": latents, "images": images, "levels": levels}
    return inputs | own | {"image_bytes": tf.io.encode_png(levels)} | attention | named


def repeat_names(names: Sequence[str], rows: tf.Tensor) -> tf.Tensor:
    """All names, text `[rows, len(names)]`. Answers of a server have to be UTF-8."""
    encoded = [name.encode("utf-8", "backslashreplace") for name in names]
    return tf.broadcast_to(tf.constant(encoded), [rows, len(encoded)])


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
