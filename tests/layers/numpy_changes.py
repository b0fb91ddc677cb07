"""The changes of `Augment` in NumPy, image by image, and what its tests share."""

import numpy as np
import tensorflow as tf

EVERY = "color,translation,cutout,diffusion"


def make_draws(layer, shape, seed=1):
    rng = np.random.default_rng(seed)
    uniform = rng.uniform(size=(shape[0], layer.uniforms)).astype("float32")
    normal = rng.normal(size=shape).astype("float32")
    return (uniform, normal) if layer.needs_noise else (uniform,)


def make_images(batch, height, width, channels=3, dtype="float32"):
    rng = np.random.default_rng(batch + height)
    return rng.uniform(-1, 1, (batch, height, width, channels)).astype(dtype)


def moved(image, row, column):
    """`image`, shifted by pasting it onto zeros."""
    height, width, _ = image.shape
    most = height // 8, width // 8
    down, right = (int(u * (2 * m + 1)) - m for u, m in zip((row, column), most, strict=True))
    canvas = np.zeros((3 * height, 3 * width, image.shape[2]))
    canvas[height - down : 2 * height - down, width - right : 2 * width - right] = image
    return canvas[height : 2 * height, width : 2 * width]


def cut(image, row, column):
    """`image` without the pixels of a square, one by one."""
    image = image.copy()
    starts = []
    for u, size in zip((row, column), image.shape[:2], strict=True):
        starts.append(int(u * (size + 1 - size // 2 % 2)) - size // 2 // 2)
    for i in range(image.shape[0] // 2):
        for j in range(image.shape[1] // 2):
            y, x = starts[0] + i, starts[1] + j
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                image[y, x] = 0
    return image


def saturated(image, u):
    gray = image.mean(axis=2, keepdims=True)
    return gray + 2 * u * (image - gray)


def noisy(image, gate, u, normal, p):
    """`image` after t of T steps, with the tables of the released code."""
    steps = 10 + round(p * 990)
    product = np.concatenate([[1], np.cumprod(1 - np.linspace(1e-4, 2e-2, steps))])
    shares = np.arange(steps) / np.arange(steps).sum()
    t = 1 + np.searchsorted(np.cumsum(shares), u, side="right") if gate < 0.5 else 0
    return np.sqrt(product[t]) * image + np.sqrt(1 - product[t]) * 0.05 * normal


CHANGES = {
    "color": [
        (1, lambda image, u: image + u - 0.5),
        (1, saturated),
        (1, lambda image, u: image.mean() + (u + 0.5) * (image - image.mean())),
    ],
    "translation": [(2, moved)],
    "cutout": [(2, cut)],
}


def expected(images, draws, policies, p):
    """The layer in NumPy, in float64, image by image."""
    changed = []
    for i, image in enumerate(images.astype("float64")):
        numbers = iter(draws[0][i].astype("float64"))
        for policy in policies.split(","):
            for count, change in CHANGES.get(policy, ()):
                gate, *given = [next(numbers) for _ in range(1 + count)]
                image = change(image, *given) if gate < p else image
        if "diffusion" in policies:
            image = noisy(image, *numbers, draws[1][i], p)
        changed.append(image)
    return np.stack(changed)


def with_gradient(layer, images, draws, p, upstream):
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, draws=draws, p=p)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * tf.stop_gradient(upstream))
    return outputs, tape.gradient(loss, images)
