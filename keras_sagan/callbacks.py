"""Keras callbacks for `SAGAN.fit`: grids of samples and scores after epochs."""

import os
import pathlib
from typing import Any

import keras
import numpy as np

from keras_sagan.api.requests import OneOrMore, check_labels_and_seeds, check_positive
from keras_sagan.visual.grid import make_grid, save_png

__all__ = ["SampleGrid", "Score"]
# Rows of a grid without labels: one for each class, at most.
ROWS = 10


class SampleGrid(keras.callbacks.Callback):
    """Writes a grid of the same samples after epochs, as `folder/epoch_0001.png`.

    Args:
        folder: path, created if absent.
        every: int, epochs between two grids.
        labels: as for `SAGAN.generate`, in reading order. None: a row for each class, at most 10,
            or 8 rows without classes.
        seeds: as for `SAGAN.generate`. None counts from 0.
        truncation: float, as for `SAGAN.generate`, or None.
        columns: int, images in a row.

    Raises:
        ValueError: if `every` or `columns` is less than 1 and, when training begins, if labels or
            seeds do not fit the model or do not fill the rows.

    Example:
        >>> grid = ks.callbacks.SampleGrid("samples", every=5, columns=4)
        >>> gan.fit(images, callbacks=[grid])  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every: int = 1,
        labels: OneOrMore | None = None,
        seeds: OneOrMore | None = None,
        truncation: float | None = None,
        columns: int = 8,
    ) -> None:
        super().__init__()
        check_positive(every=every, columns=columns)
        self.folder, self.every, self.columns = pathlib.Path(folder), every, columns
        self.labels, self.seeds, self.truncation = labels, seeds, truncation

    def on_train_begin(self, logs: Any = None) -> None:
        """Chooses the labels and seeds, so that a mistake shows before training."""
        gan: Any = self.model
        names, labels, seeds = gan.class_names, self.labels, self.seeds
        if labels is None and seeds is None:
            rows = min(len(names), ROWS) or 8
            seeds = [*range(rows * self.columns)]
            labels = np.repeat(range(rows), self.columns) if names else None
        numbers, self.seeds = check_labels_and_seeds(labels, seeds, names)
        self.labels = numbers if names else None
        if len(numbers) % self.columns:
            raise ValueError(
                f"expected full rows of {self.columns} images. Received: {len(numbers)} images"
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes a grid if it is due."""
        if (epoch + 1) % self.every:
            return
        gan: Any = self.model
        images = gan.generate(self.labels, self.seeds, self.truncation)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"epoch_{epoch + 1:04d}.png"
        save_png(make_grid(images, self.columns), path, images.shape[1])


class Score(keras.callbacks.Callback):
    """Adds scores of the averaged generator to the logs of epochs, for `History` and others.

    List it before callbacks that monitor a score.

    Args:
        images: as for `SAGAN.score`: real images, or the name of a set.
        labels: int `[N]`; None for images without classes, and with a name.
        every: int, epochs between two scores.
        num_images: int, generated images, at least 4.
        seed: int, of their latents and labels.
        data_dir: path, as for `SAGAN.score`.

    Raises:
        ValueError: if `every` or `num_images` is less than 1 and, at the first score, as
            `SAGAN.score`.

    Example:
        >>> score = ks.callbacks.Score("digits", every=5)
        >>> gan.fit(images, labels, callbacks=[score])  # doctest: +SKIP
    """

    def __init__(
        self,
        images: Any,
        labels: Any = None,
        every: int = 1,
        num_images: int = 2000,
        seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        check_positive(every=every, num_images=num_images)
        self.every, self.arguments = every, (images, labels, num_images, seed, data_dir)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the scores if they are due."""
        gan: Any = self.model
        if logs is not None and (epoch + 1) % self.every == 0:
            scores = gan.score(*self.arguments)
            logs |= {name: value for name, value in scores.items() if value is not None}
