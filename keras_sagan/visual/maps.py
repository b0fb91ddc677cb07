"""Where the positions of a network attend, as arrays, and the places that stand out."""

from __future__ import annotations

import collections
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    # The commands import this package before they need TensorFlow.
    import keras
    import tensorflow as tf

# Images at a time. At 64x64 positions, the maps of one image take 17 MB.
BATCH = 8
# A place stands out from this multiple of an even share on.
NOTABLE = 2
# A map's peak has the strongest color if it is at least this multiple of an even share. Otherwise
# a map without preferences would look as bright as one with.
FULL = 4


def attention_maps(
    model: keras.Model,
    images_or_latents: tf.Tensor | np.ndarray,
    labels: Sequence[int] | np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Where each position attends, in evaluation, for every attention layer of a model.

    Args:
        model: a network of `keras_sagan.networks`, or any Keras model with `SelfAttention` layers,
            each called once and with a name of its own.
        images_or_latents: the model's input: latents `[n, z_dim]`, or images in [-1, 1]
            `[n, height, width, channels]`.
        labels: `[n]`; None for a model without classes.

    Returns:
        Layer name to float32 `[n, H, W, h, w]`, from the model's input to its output; empty
        without attention. `maps[i, y, x]` is the attention of position (y, x) of the layer's
        feature map in image i: its share for each of h x w places, with sum 1. A place is a square
        of 2 x 2 positions, because keys are max-pooled: h = H / 2, w = W / 2.
    """
    maps = collections.defaultdict(list)
    for i in range(0, len(images_or_latents), BATCH):
        some = None if labels is None else np.asarray(labels[i : i + BATCH], np.int32)
        for layer, features in attention_inputs(model, images_or_latents[i : i + BATCH], some):
            n, height, width, _ = np.shape(features)
            flat = layer.attention_map(features).numpy()  # [n, H * W, h * w]
            maps[layer.name].append(flat.reshape(n, height, width, height // 2, width // 2))
    return {name: np.concatenate(pieces) for name, pieces in maps.items()}


def attention_inputs(model: Any, inputs: Any, labels: Any) -> list[tuple[Any, tf.Tensor]]:
    """The attention layers of a model in the order of their calls, each with its input."""
    found = []

    def record(layer, call, features, *arguments, **settings):
        found.append((layer, features))
        return call(features, *arguments, **settings)

    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "attention_map")]
    for layer in layers:
        layer.call = functools.partial(record, layer, layer.call)
    try:
        model(inputs if labels is None else [inputs, labels], training=False)
    finally:
        for layer in layers:
            del layer.call
    return found


def most_attended(attention: np.ndarray, count: int = 3) -> list[tuple[int, int]]:
    """The places that stand out in one map, the most attended first.

    A place stands out if its share is at least half of the peak and twice an even share, and if it
    does not touch an earlier one, even at a corner. `attention_page.js` has the same rule.

    Args:
        attention: `[h, w]`.
        count: the most places to return.

    Returns:
        (row, column) of each; empty if no place stands out.
    """
    least = max(attention.max() / 2, NOTABLE / attention.size)
    places = []
    for flat in np.argsort(-attention, axis=None, kind="stable"):
        place = divmod(int(flat), attention.shape[1])
        if len(places) == count or attention[place] < least:
            break
        if all(max(abs(place[0] - row), abs(place[1] - column)) > 1 for row, column in places):
            places.append(place)
    return places


def full_color(attention: np.ndarray) -> float:
    """The share that has the strongest color in a picture of one map `[h, w]`."""
    return max(attention.max(), FULL / attention.size)
