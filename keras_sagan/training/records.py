"""What a run tells while it goes: progress bar, JSON lines, TensorBoard, sample grids."""

import numpy as np
import tensorflow as tf

from keras_sagan.metrics.coherence import coherence
from keras_sagan.progress import Progress
from keras_sagan.training.sampling import latents_of, make_sampler
from keras_sagan.visual.grid import make_grid, save_png

# Of a sample grid: columns, and at most so many rows.
COLUMNS, ROWS = 8, 10
# Scalars that are recorded and not told beside the progress, which has them in its own way.
UNSAID = ("steps_per_s", "seconds")


class Records:
    """Writes the records of a run.

    Args:
        config: `Config`.
        run: `RunDirectory`.
        state: `State`.
        judge: `Judge`.
        start: int, the step from which this process goes on.
        counted: dict, what `counted` had been at that step; empty if it is not known.
    """

    def __init__(self, config, run, state, judge, start, counted):
        self.config, self.run, self.state, self.judge = config, run, state, judge
        self.writer = tf.summary.create_file_writer(str(run.tensorboard))
        self.sample = make_sampler(state.ema_generator)
        self.latents = latents_of(config.seed, max(judge.count, COLUMNS * ROWS), config.z_dim)
        # How many steps a limit of time leaves is not known.
        total = None if config.total_minutes else config.total_steps
        self.progress = Progress("step", total, "steps", start)
        self.seconds = (counted or run.last_row("train.jsonl")).get("seconds", 0.0)
        self.sums = np.array(counted.get("sums", [0.0, 0.0]))
        self.steps = counted.get("steps", 0)
        self.rate_steps, self.rate_seconds = None, 0.0

    def count(self, step, num_steps, losses, seconds):
        """Takes note of a call of `num_steps` steps that took `seconds` and ended at `step`."""
        self.sums += num_steps * np.array([losses["d_loss"], losses["g_loss"]])
        self.steps += num_steps
        self.seconds += seconds
        if self.rate_steps is None:  # The first call compiles: it would spoil the rate.
            self.rate_steps = 0
        else:
            self.rate_steps += num_steps
            self.rate_seconds += seconds
        ends = step == self.config.total_steps or self.is_out_of_time()
        due = ends or step % self.config.log_every == 0
        self.progress.update(num_steps, self.log(step) if due else None)

    def is_out_of_time(self):
        """Whether the run has trained as long as it may."""
        return 0 < self.config.total_minutes * 60 <= self.seconds

    def log(self, step):
        """Records the means since the last record; returns them as text, by name."""
        d_loss, g_loss = (self.sums / self.steps).tolist()
        scalars = {"seconds": self.seconds, "d_loss": d_loss, "g_loss": g_loss}
        scalars |= gammas(self.state)
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
        """The same latents each time; one row a class, or eight rows without classes."""
        rows = min(self.config.num_classes, ROWS) or COLUMNS
        labels = np.repeat(np.arange(rows, dtype=np.int32), COLUMNS)
        grid = make_grid(self.sample(self.latents[: rows * COLUMNS], labels), COLUMNS)
        self.run.samples.mkdir(exist_ok=True)
        save_png(grid, self.run.samples / f"step_{step:07d}.png", self.config.image_size)
        with self.writer.as_default(step):
            tf.summary.image("samples", grid[None])

    def score(self, step):
        """The judge's score of the averaged generator, which chooses the best checkpoint."""
        count = self.judge.count
        labels = np.arange(count, dtype=np.int32) % max(self.config.num_classes, 1)
        fakes = self.sample(self.latents[:count], labels)
        score = {self.judge.name: self.judge.score(fakes)}
        if self.config.is_symmetry:
            score[f"coherence{count}"] = coherence(fakes, labels)
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


def gammas(state):
    """The learned weight of each attention layer, by network and layer name."""
    return {
        f"gamma/{network.name[0]}_{layer.name}": float(layer.gamma.numpy())
        for network in (state.generator, state.discriminator)
        for layer in network.stack
        if hasattr(layer, "gamma")
    }
