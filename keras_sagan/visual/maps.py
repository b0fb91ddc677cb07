"""Where the positions of a network look, as arrays, and the places that stand out."""

import numpy as np

# Images at a time. At 64x64 positions the maps of one are 17 MB.
BATCH = 8
# Shares of attention are told apart from an even one from this many times it on.
NOTABLE = 2
# The strongest color is that of a map's peak, but of no less than this many times an even share:
# or else a map that prefers nothing would look as bright as one that does.
FULL = 4


def attention_maps(model, images_or_latents, labels=None):
    """Where each position looks, in evaluation, for every attention layer of a network.

    Args:
        model: a generator or discriminator of `keras_sagan.networks`.
        images_or_latents: what the network takes: latents `[n, z_dim]`, or images in [-1, 1]
            `[n, height, width, channels]`.
        labels: `[n]`, int; None for a network without classes.

    Returns:
        dict: layer name, from the network's input to its output, to float32 `[n, H, W, h, w]`.
        `maps[i, y, x]` is where position (y, x) of the layer's feature map looks in image i: what
        it takes from each of h x w places, which sums to 1. A place is a square of 2 x 2 positions,
        h = H / 2 and w = W / 2, since keys are max-pooled. Empty without attention.
    """
    pieces = []
    for i in range(0, len(images_or_latents), BATCH):
        some = None if labels is None else np.asarray(labels[i : i + BATCH], np.int32)
        pieces.append(maps_of_batch(model, images_or_latents[i : i + BATCH], some))
    names = pieces[0] if pieces else ()
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}


def maps_of_batch(model, inputs, labels):
    given, _ = model.layer_inputs(inputs, labels)
    maps = {}
    for layer in model.stack:
        if hasattr(layer, "attention_map"):
            n, height, width, _ = given[layer.name].shape
            flat = layer.attention_map(given[layer.name]).numpy()  # [n, H * W, h * w]
            maps[layer.name] = flat.reshape(n, height, width, height // 2, width // 2)
    return maps


def most_attended(attention, count=3):
    """The places that stand out in one map, the most attended first.

    A place stands out that has at least half of what the most attended one has and twice an even
    share, and touches none before it, not even at a corner. `attention_page.js` has the same rule.

    Args:
        attention: `[h, w]`.
        count: int, at most so many.

    Returns:
        list of (row, column); empty if none stands out.
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


def full_color(attention):
    """The share of attention that has the strongest color in a picture of one map `[h, w]`."""
    return max(attention.max(), FULL / attention.size)
