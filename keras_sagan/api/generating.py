"""From classes and seeds to images and attention maps."""

import functools
from collections.abc import Callable

import numpy as np

from keras_sagan.api.game_model import GameModel
from keras_sagan.api.requests import (
    OneOrMore,
    check_labels_and_seeds,
    check_positive,
    check_truncation,
)
from keras_sagan.sampling.sampler import latents_of_seeds
from keras_sagan.visual import attention_maps


class GenerativeModel(GameModel):
    """A `GameModel` whose averaged generator is asked by classes and seeds."""

    @functools.cached_property
    def sample(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Function from latents and labels to uint8 images; traced once."""
        return self.state.make_sampler()

    def generate(
        self,
        labels: OneOrMore | None = None,
        seeds: OneOrMore | None = None,
        truncation: float | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Generates images with the averaged generator.

        `keras-sagan sample --seeds` and an exported model give the same images for the same
        weights, labels and seeds. A single label or seed holds for all of the others.

        Args:
            labels: classes, one or several: an int is a label, a str is a name. None cycles through
                the classes.
            seeds: ints in [0, 2^31), one or several. None counts from 0.
            truncation: float, the largest absolute value of a latent's entries; lower values give
                more typical, less varied images. None: no bound.
            batch_size: int, images at a time. None: as many as are useful and fit in memory.

        Returns:
            uint8 `[n, H, W, C]`. Without labels and seeds, an image of each class, at most 10.

        Raises:
            ValueError: if a label, seed or bound is impossible, or there are not as many labels as
                seeds.
            RunError: if the memory is not enough for a single image.

        Example:
            >>> gan.generate(labels="dog", seeds=[0, 1, 2], truncation=0.8).shape
            (3, 16, 16, 3)
        """
        check_positive(batch_size=1 if batch_size is None else batch_size)
        latents, numbers = self.draw_inputs(labels, seeds, truncation)
        size = len(latents) if batch_size is None else batch_size
        pieces = [slice(i, i + size) for i in range(0, len(latents), size)]
        return np.concatenate([self.sample(latents[some], numbers[some]) for some in pieces])

    def attention_maps(
        self,
        labels: OneOrMore | None = None,
        seeds: OneOrMore | None = None,
        truncation: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Where each position of the averaged generator attends; arguments as of `generate`.

        Args:
            labels: ints or names of classes.
            seeds: ints in [0, 2^31).
            truncation: float or None.

        Returns:
            Layer name to float32 `[n, H, W, h, w]`, as of `keras_sagan.visual.attention_maps`.

        Raises:
            ValueError: as `generate`.

        Example:
            >>> gan.attention_maps(seeds=0)["attention_8"].shape
            (1, 8, 8, 4, 4)
        """
        latents, numbers = self.draw_inputs(labels, seeds, truncation)
        return attention_maps(self.ema_generator, latents, numbers)

    def draw_inputs(
        self, labels: OneOrMore | None, seeds: OneOrMore | None, truncation: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Latents float32 `[n, z_dim]` and labels int32 `[n]`; arguments as of `generate`."""
        check_truncation(truncation)
        numbers, seeds = check_labels_and_seeds(labels, seeds, self.class_names)
        return latents_of_seeds(seeds, self.config.z_dim, truncation), numbers
