"""Differentiable random changes of images, for GANs with few images.

The discriminator sees real images and fakes only after the same random changes, so it cannot learn
the real ones by heart, and the generator learns through the changes. Source: DiffAugment, Zhao et
al. 2020, https://arxiv.org/abs/2006.10738, section 3, and its released DiffAugment_tf.py.

Each function of images `[B, H, W, C]` takes its random numbers, `[B, 1, 1, 1]` in [0, 1).
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers.diffusion import diffuse
from keras_sagan.layers.tensors import (
    at_least_float32,
    check_channels_last,
    image_spec,
    sizes_of,
)
from keras_sagan.regularization import POLICIES, sort_policies


@keras.saving.register_keras_serializable("keras_sagan")
class Augment(keras.layers.Layer):
    """Changes images at random, each in its own way; gradients pass through.

    Place it in front of a discriminator, for real images and fakes alike. The changes:

        color: brightness by up to 0.5, then saturation by a factor in [0, 2], then contrast by a
            factor in [0.5, 1.5]
        translation: by up to an eighth of height and width, filled with zeros (gray)
        cutout: a square of half the height and width becomes zero, where it is inside of the image
        diffusion: noise after a random number of steps of a diffusion process

    The first three are as in the released DiffAugment_tf.py. Each of their five transformations
    changes an image with probability `p`, independently, as in Karras et al. 2020,
    https://arxiv.org/abs/2006.06676, section 2.2; DiffAugment itself always applies all of them. In
    diffusion, `p` sets the number of steps: see `diffuse`, which also says what we do not follow.

    Without `draws`, replicas of a strategy draw equal numbers. Numbers drawn in code that XLA
    compiles differ from the ones drawn elsewhere.

        >>> augment = ks.layers.Augment("translation,cutout", p=0.5, seed=0)
        >>> augment(np.zeros([4, 32, 32, 3], "float32")).shape
        TensorShape([4, 32, 32, 3])

    Args:
        policies: str, comma-separated, or a sequence of str: some of color, translation, cutout and
            diffusion. They are applied in this order.
        p: float in [0, 1], see above.
        seed: int or None, of the numbers drawn where a call gets none.

    Call arguments:
        inputs: images. They are computed in float32 at least, and keep their dtype.
        draws: None, or random numbers: a tuple of uniform ones `[batch, uniforms]` in [0, 1), and
            for diffusion also normal ones of the shape of the images. They get no gradient.
        p: scalar, number or tensor; None: the argument of the layer.
        training: bool. False: the images are returned unchanged.

    Input shape: `[batch, height, width, channels]`, float in [-1, 1].
    Output shape: as the input.

    Raises:
        ValueError: if `policies` has an unknown name, one twice or none, `p` is outside [0, 1],
            `draws` are too few or too many, the number of channels is unknown, or Keras has
            channels first.
    """

    def __init__(
        self,
        policies: str | Sequence[str] = "color,translation,cutout",
        p: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Mixed precision would round images before `call` could compute them in float32.
        super().__init__(autocast=False, **kwargs)
        check_channels_last(self)
        if not 0 <= p <= 1:
            raise ValueError(f"`p` must be in [0, 1]. Received: {p=}")
        self.policies, self.p, self.seed = parse_policies(policies), p, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def uniforms(self) -> int:
        """How many uniform numbers an image needs."""
        changes = [count for policy in self.policies for _, count in GATED.get(policy, ())]
        return sum(changes) + len(changes) + 2 * self.needs_noise

    @property
    def needs_noise(self) -> bool:
        """Whether a call needs normal numbers of the images' shape."""
        return "diffusion" in self.policies

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.input_spec = image_spec(self, input_shape)

    def call(self, inputs, draws=None, p=None, training: bool = True) -> tf.Tensor:
        if not training:
            return inputs
        images = tf.cast(inputs, at_least_float32(inputs.dtype))
        uniform, *noise = self.draw(images) if draws is None else self.check_draws(draws)
        numbers = constant(uniform, images.dtype)[:, None, None, None, :]
        numbers = iter(tf.unstack(numbers, self.uniforms, axis=-1))
        p = constant(self.p if p is None else p, images.dtype)
        for policy in self.policies:
            for change, count in GATED.get(policy, ()):
                gate, *magnitudes = [next(numbers) for _ in range(1 + count)]
                images = tf.where(gate < p, change(images, *magnitudes), images)
        if self.needs_noise:
            gate, number = numbers
            images = diffuse(images, gate, number, constant(noise[0], images.dtype), p)
        return tf.cast(images, inputs.dtype)

    def draw(self, images: tf.Tensor) -> Sequence[Any]:
        """Fresh `draws` for a call with `images`."""
        settings = {"dtype": images.dtype.name, "seed": self.seed_generator}
        draws = [keras.random.uniform((sizes_of(images)[0], self.uniforms), **settings)]
        if self.needs_noise:
            draws.append(keras.random.normal(sizes_of(images), **settings))
        return draws

    def check_draws(self, draws: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        """Returns `draws`; raises a `ValueError` if this layer needs others."""
        shapes = [tuple(draw.shape) for draw in draws]
        if len(draws) != 1 + self.needs_noise or shapes[0][1:] != (self.uniforms,):
            normal = ", normal numbers of the images' shape" if self.needs_noise else ""
            raise ValueError(
                f"`draws` must be (uniform numbers [batch, {self.uniforms}]{normal}). "
                f"Received: shapes {shapes}"
            )
        return draws

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        config = {"policies": ",".join(self.policies), "p": self.p, "seed": self.seed}
        return super().get_config() | config


def parse_policies(policies: str | Sequence[str]) -> tuple[str, ...]:
    """The names in `policies`, in the order in which they are applied; see `Augment`."""
    found = sort_policies(policies.split(",") if isinstance(policies, str) else policies)
    if not found:
        expected = f"some of {', '.join(POLICIES)}, each at most once"
        raise ValueError(f"`policies` must be {expected}. Received: {policies=}")
    return found


def constant(value: Any, dtype: Any) -> tf.Tensor:
    """`value` as a tensor without gradient."""
    return tf.stop_gradient(tf.cast(value, dtype))


def whole(number: tf.Tensor, count: Any) -> tf.Tensor:
    """The whole number in [0, `count`) that a number in [0, 1) selects."""
    count = tf.cast(count, number.dtype)
    return tf.minimum(tf.floor(number * count), count - 1)


def change_brightness(images: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Adds from -0.5 to 0.5."""
    return images + (number - 0.5)


def change_saturation(images: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance of each pixel from its own mean by 0 to 2."""
    mean = tf.reduce_mean(images, axis=-1, keepdims=True)
    return (images - mean) * (2 * number) + mean


def change_contrast(images: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance of an image from its mean by 0.5 to 1.5."""
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return (images - mean) * (number + 0.5) + mean


def translate(images: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """Shifts by up to an eighth of height and width, in either direction.

    Matrices of zeros and ones shift: a gather would have a scatter as its gradient, whose sums have
    no fixed order on GPUs. The products are exact, except where TensorFloat-32 rounds them as it
    rounds the convolutions that follow.
    """
    _, height, width, _ = sizes_of(images)
    images = tf.einsum("bij,bjkc->bikc", shift_matrix(row, height), images)
    return tf.einsum("blk,bikc->bilc", shift_matrix(column, width), images)


def shift_matrix(number: tf.Tensor, size: Any) -> tf.Tensor:
    """`[B, size, size]`: position i of the result is position i + shift of the image, or zero."""
    shift = whole(number, 2 * (size // 8) + 1) - tf.cast(size // 8, number.dtype)
    positions = tf.range(size)
    offsets = tf.cast(positions[None, :] - positions[:, None], number.dtype)  # [to, from]
    return tf.cast(tf.equal(offsets, shift[..., 0]), number.dtype)


def cut_out(images: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """Sets a rectangle of half the height and width to zero; it may extend beyond the image."""
    _, height, width, _ = sizes_of(images)
    rows = tf.reshape(interval(row, height), [-1, height, 1, 1])
    columns = tf.reshape(interval(column, width), [-1, 1, width, 1])
    return tf.where(rows & columns, tf.zeros([], images.dtype), images)


def interval(number: tf.Tensor, size: Any) -> tf.Tensor:
    """Bool `[B, 1, 1, size]`: which positions are in a half of `size` around a random center."""
    length = size // 2
    first = whole(number, size + 1 - length % 2) - tf.cast(length // 2, number.dtype)
    positions = tf.cast(tf.range(size), number.dtype)
    return (positions >= first) & (positions < first + tf.cast(length, number.dtype))


# By the name of a policy: transformations, each with the number of its magnitudes. In the uniform
# numbers of an image, a transformation's gate precedes its magnitudes.
GATED: dict[str, tuple[tuple[Callable[..., tf.Tensor], int], ...]] = {
    "color": ((change_brightness, 1), (change_saturation, 1), (change_contrast, 1)),
    "translation": ((translate, 2),),
    "cutout": ((cut_out, 2),),
}
