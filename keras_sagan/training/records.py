"""What a run tells while it goes: progress bar, JSON lines, TensorBoard, sample grids."""

import math

import numpy as np
import tensorflow as tf

from keras_sagan.metrics.coherence import coherence
from keras_sagan.metrics.diversity import LEAST
from keras_sagan.metrics.protocol import current_name
from keras_sagan.progress import Progress
from keras_sagan.sampling.sampler import latents_of, make_sampler
from keras_sagan.training.collapse import CollapseWatch
from keras_sagan.training.health import SIGNS
from keras_sagan.visual.grid import make_grid, save_png

# Of a sample grid: columns, and at most so many rows.
COLUMNS, ROWS = 8, 10
# Scalars that are recorded and not told beside the progress, which has them in its own way.
UNSAID = ("steps_per_s", "seconds", *SIGNS)


class Records:
    """Writes the records of a run.

    Args:
        config: `Config`.
        run: `RunDirectory`.
        state: `State`.
        prepared: `Prepared`, the real images.
        judge: `Judge`.
        start: int, the step from which this process goes on.
        counted: dict, what `counted` had been at that step; empty if it is not known.

    Attributes:
        tensorboard: path, where it writes for TensorBoard.
        rollbacks: list of the steps that the run has gone back to because of numbers that were
            not finite. In memory too, since of several processes only one writes.
    """

    def __init__(self, config, run, state, prepared, judge, start, counted):
        self.config, self.run, self.state, self.judge = config, run, state, judge
        self.tensorboard = run.tensorboard
        self.writer = tf.summary.create_file_writer(str(self.tensorboard))
        self.sample = make_sampler(state.ema_generator)
        self.latents = latents_of(config.seed, max(judge.count, COLUMNS * ROWS), config.z_dim)
        self.labels = grid_labels(config)
        self.watch = CollapseWatch(config, prepared, self.labels)
        rows = [row["step"] for row in run.rows("train.jsonl") if "rollback" in row]
        self.rollbacks = [step for step in rows if step <= start]
        self.begin(start, counted)

    def begin(self, step, counted):
        """Counts from `step` on, as the process that was last there would have."""
        broken = [self.run.forget_after(name, step) for name in ("train.jsonl", "scores.jsonl")]
        # How many steps a limit of time leaves is not known.
        total = None if self.config.total_minutes else self.config.total_steps
        self.progress = Progress("step", total, "steps", step)
        for warning in filter(None, broken):
            self.progress.say(f"warning: {warning}")
        last = self.run.last_row("train.jsonl")
        self.seconds = max(row.get("seconds", 0.0) for row in (counted, last))
        self.sums = np.array(counted.get("sums", [0.0, 0.0]))
        self.steps = counted.get("steps", 0)
        self.watch.collapsed = self.run.last_row("scores.jsonl").get("diversity", 1.0) < LEAST
        self.rate_steps, self.rate_seconds = None, 0.0

    def go_back(self, step, error, counted):
        """Takes note that the run goes on from `step`, because of `error`, a `NotFinite`."""
        self.progress.close()
        number = len(self.rollbacks)
        # The time was taken, though nothing is left of it.
        row = {"step": step, "seconds": self.seconds, "rollback": number}
        self.run.append("train.jsonl", row | {"bad_step": error.step, "bad": error.name})
        self.begin(step, counted)
        self.progress.say(f"warning: {error}; on from step {step} with other noise, time {number}")

    def count(self, step, num_steps, numbers, seconds):
        """Takes note of a call of `num_steps` steps that took `seconds` and ended at `step`.

        Args:
            step: int.
            num_steps: int.
            numbers: dict of floats, mean losses and, where they are known, `vitals.SIGNS`.
            seconds: float.
        """
        self.sums += num_steps * np.array([numbers["d_loss"], numbers["g_loss"]])
        self.steps += num_steps
        self.seconds += seconds
        if self.rate_steps is None:  # The first call compiles: it would spoil the rate.
            self.rate_steps = 0
        else:
            self.rate_steps += num_steps
            self.rate_seconds += seconds
        ends = step == self.config.total_steps or self.is_out_of_time()
        due = ends or step % self.config.log_every == 0
        signs = {name: numbers[name] for name in SIGNS if name in numbers}
        self.progress.update(num_steps, self.log(step, signs) if due else None)

    def is_out_of_time(self):
        """Whether the run has trained as long as it may."""
        return 0 < self.config.total_minutes * 60 <= self.seconds

    def log(self, step, signs):
        """Records means since the last record and `signs` of this step; returns text, by name."""
        d_loss, g_loss = (self.sums / self.steps).tolist()
        scalars = {"seconds": self.seconds, "d_loss": d_loss, "g_loss": g_loss}
        scalars |= signs | gammas(self.state)
        if self.rate_steps:
            rate = self.rate_steps / self.rate_seconds
            scalars |= {"steps_per_s": rate, "images_per_s": rate * self.config.batch_size}
        self.run.append("train.jsonl", {"step": step, **scalars})
        self.write_scalars(step, scalars)
        self.sums, self.steps = np.zeros(2), 0
        self.rate_steps, self.rate_seconds = 0, 0.0
        said = {name: f"{value:.4g}" for name, value in scalars.items() if name not in UNSAID}
        if self.config.total_minutes:
            said["minutes"] = f"{self.seconds / 60:.1f}/{self.config.total_minutes:g}"
        return said

    def counted(self):
        """What the next record is made of, for a process that goes on from here: a dict."""
        return {"seconds": self.seconds, "sums": self.sums.tolist(), "steps": self.steps}

    def write_samples(self, step):
        """The same latents each time, as a grid."""
        grid = make_grid(self.samples(), COLUMNS)
        self.run.samples.mkdir(exist_ok=True)
        save_png(grid, self.run.samples / f"step_{step:07d}.png", self.config.image_size)
        with self.writer.as_default(step):
            tf.summary.image("samples", grid[None])

    def samples(self):
        return self.sample(self.latents[: len(self.labels)], self.labels)

    def best(self):
        """The best score of this name that the run has recorded; infinite before the first."""
        name = self.judge.name
        # Rows may have a metric by its earlier name.
        rows = [
            {current_name(key): value for key, value in row.items()}
            for row in self.run.rows("scores.jsonl")
        ]
        return min((row[name] for row in rows if name in row), default=math.inf)

    def score(self, step):
        """The judge's score of the averaged generator, which chooses the best checkpoint."""
        count = self.judge.count
        labels = np.arange(count, dtype=np.int32) % max(self.config.num_classes, 1)
        fakes = self.sample(self.latents[:count], labels)
        score = {self.judge.name: self.judge.score(fakes)}
        if self.config.is_symmetry:
            score[f"coherence{count}"] = coherence(fakes, labels)
        score["diversity"] = self.watch.relative(self.samples())
        if self.watch.falls(score["diversity"]):
            self.progress.say(
                f"warning: at step {step} samples of a class differ from each other by "
                f"{score['diversity']:.1%} of what real images do, less than {LEAST:.0%}: collapse"
            )
        self.run.append("scores.jsonl", {"step": step, **score})
        self.write_scalars(step, score)
        return score[self.judge.name]

    def write_scalars(self, step, scalars):
        with self.writer.as_default(step):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
        self.writer.flush()

    def close(self):
        self.progress.close()
        self.writer.close()


def grid_labels(config):
    """Classes of a sample grid, int32 `[n]`: one row a class, or eight rows without classes."""
    rows = min(config.num_classes, ROWS) or COLUMNS
    return np.repeat(np.arange(rows, dtype=np.int32), COLUMNS)


def gammas(state):
    """The learned weight of each attention layer, by network and layer name."""
    return {
        f"gamma/{network.name[0]}_{layer.name}": float(layer.gamma.numpy())
        for network in (state.generator, state.discriminator)
        for layer in network.stack
        if hasattr(layer, "gamma")
    }
