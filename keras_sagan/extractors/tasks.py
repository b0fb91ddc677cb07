"""What a network can learn about a data set: its classes or, without any, rotations.

Rotations: Gidaris, Singh, Komodakis 2018, https://arxiv.org/abs/1803.07728. To tell how an image
was rotated, a network must recognize what it shows. As in the paper, the four rotations of an image
are in the same batch.

Flips would not do. Many objects are mirror symmetric, so a flip cannot be told. Where it can, a
mirrored photo is still a plausible photo: training itself mirrors images at random (`--flip`).

Limits: images that look the same when rotated, e.g. textures, cells, or views from above, teach
nothing. Their held-out accuracy stays near 25%, which is chance. Nor do features need what does not
depend on the orientation, e.g. colors. Where one detail gives the rotation away, e.g. a bright sky,
the network may look at nothing else.
"""

import numpy as np

from keras_sagan.errors import UsageError
from keras_sagan.extractors.trained import Task

# 0, 90, 180 and 270 degrees.
ROTATED = 4


def count_classes(labels: np.ndarray) -> int:
    """The number of classes that occur in `labels`; 1 for images without classes."""
    return len(np.unique(labels))


def count_labels(labels: np.ndarray) -> int:
    """One logit for each label from 0 to the largest.

    Raises:
        UsageError: if fewer than two classes occur.
    """
    classes = count_classes(labels)
    if classes < 2:
        raise UsageError(
            "the extractor classifier needs labels of at least two classes; use "
            f"--extractor=rotation. Received: {classes} class"
        )
    return int(np.max(labels)) + 1


def rotate_images(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every image rotated by 0, 90, 180 and 270 degrees, counterclockwise.

    Args:
        images: `[n, size, size, C]`.
        labels: ignored.

    Returns:
        The n images as they are, then all by 90 degrees and so on, `[4 * n, size, size, C]`, and
        the number of quarter turns of each, int32 `[4 * n]`.
    """
    del labels
    rotated = [np.rot90(images, turns, axes=(1, 2)) for turns in range(ROTATED)]
    return np.concatenate(rotated), np.repeat(np.arange(ROTATED, dtype=np.int32), len(images))


CLASSES = Task(
    name="classifier",
    noun="classifier",
    folder="classifiers",
    predicts="classes",
    copies=1,
    count_answers=count_labels,
    make_examples=lambda images, labels: (images, labels),
)
ROTATIONS = Task(
    name="rotation",
    noun="rotation network",
    folder="rotations",
    predicts="rotations",
    copies=ROTATED,
    count_answers=lambda labels: ROTATED,
    make_examples=rotate_images,
)
# By the name that `--extractor` gives them.
TASKS = {task.name: task for task in (CLASSES, ROTATIONS)}
