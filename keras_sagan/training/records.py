"""What a run tells while it goes: progress bar, JSON lines, TensorBoard, sample grids."""

import time

import numpy as np
import tensorflow as tf

from keras_sagan.layers.attention import GatedResidual
from keras_sagan.metrics.coherence import coherence
from keras_sagan.progress import Progress
from keras_sagan.training.sampling import latents_of, make_sampler
from keras_sagan.visual.grid import make_grid, save_png

# Of a sample grid: columns, and at most so many rows.
COLUMNS, ROWS = 8, 10


class Records:
    """Writes the records of a run.

    Args:
        config: `Config`.
        run: `RunDirectory`.
        state: `State`.
        judge: `Judge`.
        start: int, the step from which this process goes on.
    """

    def __init__(self, config, run, state, judge, start):
        self.config, self.run, self.state, self.judge = config, run, state, judge
        self.writer = tf.summary.create_file_writer(str(run.tensorboard))
        self.sample = make_sampler(state.ema_generator)
        self.latents = latents_of(config.seed, max(judge.count, COLUMNS * ROWS), config.z_dim)
        self.progress = Progress("step", config.total_steps, "steps", start)
        self.logged, self.logged_at = start, time.monotonic()
        self.compiling = True
        self.sums, self.counted = np.zeros(2), 0

    def count(self, step, num_steps, losses):
        """Takes note of a call of `num_steps` steps that ended at `step`."""
        self.sums += num_steps * np.array([losses["d_loss"], losses["g_loss"]])
        self.counted += num_steps
        if step % self.config.log_every == 0 or step == self.config.total_steps:
            self.progress.update(num_steps, self.log(step))
        else:
            self.progress.update(num_steps)
            if self.compiling:  # The first call compiles: it would spoil the next record's rate.
                self.logged, self.logged_at = step, time.monotonic()
        self.compiling = False

    def log(self, step):
        """Records the means since the last record; returns them as text, by name."""
        now = time.monotonic()
        rate = (step - self.logged) / (now - self.logged_at)
        d_loss, g_loss = (self.sums / self.counted).tolist()
        scalars = {
            "d_loss": d_loss,
            "g_loss": g_loss,
            **gammas(self.state),
            "steps_per_s": rate,
            "images_per_s": rate * self.config.batch_size,
        }
        self.run.append("train.jsonl", {"step": step, **scalars})
        self.write_scalars(step, scalars)
        self.logged, self.logged_at = step, now
        self.sums, self.counted = np.zeros(2), 0
        return {name: f"{value:.4g}" for name, value in scalars.items() if name != "steps_per_s"}

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
        if isinstance(layer, GatedResidual)
    }
