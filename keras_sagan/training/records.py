"""What a run reports as it trains: progress, JSON lines, TensorBoard, grids, scores."""

import dataclasses
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.util import event_pb2

from keras_sagan.metrics.diversity import LEAST
from keras_sagan.metrics.protocol import current_name
from keras_sagan.progress import Progress
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.run_data import first_step_of_data
from keras_sagan.sampling.sampler import Sampler, latents_of
from keras_sagan.training.actions import EndTraining
from keras_sagan.training.collapse import CollapseWatch
from keras_sagan.training.health import STATISTICS
from keras_sagan.training.trainer import Action, Call
from keras_sagan.visual.grid import make_grid, save_png

# Columns of a sample grid, and its maximum number of rows.
COLUMNS, ROWS = 8, 10
# Scalars that are recorded but not shown beside the progress, which has its own form of them; and
# those that are shown only beside the logits of held-out images.
NOT_SHOWN = ("steps_per_s", "seconds", *STATISTICS)
OF_LOGITS = ("d_logits_mean_real", "d_logits_mean_fake", "d_logits_sign_real")


class Records:
    """Where the chief writes: JSON lines, TensorBoard and the progress that a user sees.

    Args:
        directory: of the run.
        start: step from which the run resumes; rows of later steps are dropped.
        total_steps: of the run; None if unknown.
    """

    def __init__(self, directory: RunDirectory, start: int, total_steps: int | None) -> None:
        self.directory = directory
        self.writer = tf.summary.create_file_writer(os.fsencode(directory.tensorboard))
        if start:
            self.purge(start + 1)
        self.progress = Progress("step", total_steps, "steps", start)
        for name in ("train.jsonl", "scores.jsonl"):
            if warning := directory.drop_rows_after(name, start):
                self.progress.say(f"warning: {warning}")

    def purge(self, step: int) -> None:
        """Makes TensorBoard drop what it has from `step` on, which this process writes again."""
        started = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        event = event_pb2.Event(step=step, wall_time=time.time(), session_log=started)
        for _ in range(2):  # It takes the first in a run for the run's own beginning.
            tf.raw_ops.ImportEvent(writer=self.writer._resource, event=event.SerializeToString())

    def write_row(self, name: str, step: int, scalars: dict[str, float]) -> None:
        """Adds a row to the JSON lines of file `name`, and its scalars to TensorBoard."""
        self.directory.append(name, {"step": step, **scalars})
        self.write_scalars(step, scalars)

    def write_scalars(self, step: int, scalars: dict[str, float]) -> None:
        """Adds scalars to TensorBoard."""
        with self.writer.as_default(step):
            for key, value in scalars.items():
                tf.summary.scalar(key, value)
        self.writer.flush()

    def write_grid(self, step: int, images: np.ndarray, name: str, tag: str) -> None:
        """Writes images, uint8 `[n, H, W, C]`, as the grid `name`_STEP.png and to TensorBoard."""
        self.directory.samples.mkdir(exist_ok=True)
        grid = make_grid(images, COLUMNS)
        save_png(grid, self.directory.samples / f"{name}_{step:07d}.png", images.shape[1])
        with self.writer.as_default(step):
            tf.summary.image(tag, grid[None])

    def close(self) -> None:
        self.progress.close()
        self.writer.close()


@dataclasses.dataclass
class Log(Action):
    """Records mean losses, statistics of the last step, gauges and rates."""

    every: int  # Steps between two records.
    records: Records
    end: EndTraining  # Counts the seconds of training.
    gauges: Callable[[int], dict[str, float]]  # Further scalars of a step, e.g. gammas.
    batch_size: int  # Images per step.

    def __post_init__(self) -> None:
        self.sums, self.steps = np.zeros(2), 0
        # Of the calls that define a rate, which exclude the first because it compiles.
        self.timed_steps, self.timed_seconds = None, 0.0

    def resume(self, partial_record: dict[str, Any]) -> None:
        """Continues the sums of an earlier process; see `partial_record`."""
        self.sums = np.array(partial_record.get("sums", [0.0, 0.0]))
        self.steps = partial_record.get("steps", 0)

    def partial_record(self) -> dict[str, Any]:
        """The contents of the next record so far, for a process that resumes here."""
        return {"seconds": self.end.seconds, "sums": self.sums.tolist(), "steps": self.steps}

    def act(self, call: Call) -> None:
        self.sums += call.num_steps * np.array([call.numbers["d_loss"], call.numbers["g_loss"]])
        self.steps += call.num_steps
        if self.timed_steps is None:
            self.timed_steps = 0
        else:
            self.timed_steps += call.num_steps
            self.timed_seconds += call.seconds
        shown = self.write_record(call) if self.is_due(call) else None
        self.records.progress.update(call.num_steps, shown)

    def write_record(self, call: Call) -> dict[str, str]:
        """Records means since the last record; returns the text that the progress shows."""
        d_loss, g_loss = (self.sums / self.steps).tolist()
        scalars = {"seconds": self.end.seconds, "d_loss": d_loss, "g_loss": g_loss}
        scalars |= {name: call.numbers[name] for name in STATISTICS if name in call.numbers}
        scalars |= self.gauges(call.step)
        if self.timed_steps:
            rate = self.timed_steps / self.timed_seconds
            scalars |= {"steps_per_s": rate, "images_per_s": rate * self.batch_size}
        self.records.write_row("train.jsonl", call.step, scalars)
        self.sums, self.steps = np.zeros(2), 0
        self.timed_steps, self.timed_seconds = 0, 0.0
        hidden = set(NOT_SHOWN) - set(OF_LOGITS if "overfitting" in scalars else ())
        shown = {name: f"{value:.4g}" for name, value in scalars.items() if name not in hidden}
        if self.end.total_minutes:
            shown["minutes"] = f"{self.end.seconds / 60:.1f}/{self.end.total_minutes:g}"
        return shown


class FixedFakes:
    """Images of a run's averaged generator for fixed latents.

    `count` images are scored. `num_classes` is 0 for a run without classes.
    """

    def __init__(self, sample: Sampler, count: int, seed: int, z_dim: int, num_classes: int):
        self.sample = sample
        self.latents = latents_of(seed, max(count, COLUMNS * ROWS), z_dim)
        self.labels = np.arange(count, dtype=np.int32) % max(num_classes, 1)
        # One row per class, or eight rows without classes.
        rows = min(num_classes, ROWS) or COLUMNS
        self.grid_labels = np.repeat(np.arange(rows, dtype=np.int32), COLUMNS)

    def grid_images(self) -> np.ndarray:
        """The images of a sample grid, uint8 `[n, H, W, C]`, in grid order."""
        return self.sample(self.latents[: len(self.grid_labels)], self.grid_labels)

    def some(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first `count` images and their labels, at most as many as are scored."""
        labels = self.labels[:count]
        return self.sample(self.latents[:count], labels), labels

    def scored_images(self) -> np.ndarray:
        """`count` images, uint8 `[count, H, W, C]`, whose labels are `labels`."""
        return self.some(len(self.labels))[0]


@dataclasses.dataclass
class WriteSamples(Action):
    """Writes a sample grid, from the same latents each time."""

    every: int  # Steps between two grids.
    records: Records
    fakes: FixedFakes
    # Returns real images and samples as D sees them, for a grid of their own; or None.
    augmented: Callable[[], np.ndarray] | None = None

    def act(self, call: Call) -> None:
        if self.is_due(call):
            self.records.write_grid(call.step, self.fakes.grid_images(), "step", "samples")
            if self.augmented:
                self.records.write_grid(call.step, self.augmented(), "augmented", "augmented")


@dataclasses.dataclass
class Score(Action):
    """Scores the averaged generator, records the scores and keeps the best checkpoint."""

    records: Records
    fakes: FixedFakes
    # Functions from images and labels to a score, by name. Lower is better for the first.
    measures: dict[str, Callable[[np.ndarray, np.ndarray], float]]
    watch: CollapseWatch
    save_best: Callable[[], str]  # Saves the present step as the best checkpoint.
    every: int = 0

    def __post_init__(self) -> None:
        self.name = next(iter(self.measures))
        self.best = best_recorded(self.records.directory, self.name)

    def act(self, call: Call) -> None:
        images, labels = self.fakes.scored_images(), self.fakes.labels
        scores = {name: measure(images, labels) for name, measure in self.measures.items()}
        diversity = self.watch.relative_diversity(self.fakes.grid_images())
        if self.watch.collapses(diversity):
            self.records.progress.say(
                f"warning: mode collapse at step {call.step}: samples of a class differ from each "
                f"other by {diversity:.1%} of what real images do, less than {LEAST:.0%}"
            )
        self.records.write_row("scores.jsonl", call.step, scores | {"diversity": diversity})
        if scores[self.name] < self.best:
            self.best = scores[self.name]
            self.save_best()


def best_recorded(directory: RunDirectory, name: str) -> float:
    """The best score of this name with the present images; infinite before the first."""
    since = first_step_of_data(directory)
    rows = (row for row in directory.rows("scores.jsonl") if not since or row["step"] > since)
    items = (item for row in rows for item in row.items())
    return min((value for key, value in items if current_name(key) == name), default=math.inf)
