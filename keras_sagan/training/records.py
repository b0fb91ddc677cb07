"""What a run tells while it goes: progress bar, JSON lines, TensorBoard, sample grids."""

import sys
import time

import numpy as np
import tensorflow as tf
import tqdm

from keras_sagan.layers.attention import GatedResidual
from keras_sagan.training.sampling import latents_of, make_sampler
from keras_sagan.visual.grid import make_grid, save_png

# Seconds between two lines of a log that is no terminal.
LOG_SECONDS = 30
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
        self.bar = tqdm.tqdm(
            total=config.total_steps,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        self.logged, self.logged_at = start, time.monotonic()
        self.compiling = True
        self.said_at = -float("inf")
        self.sums, self.counted = np.zeros(2), 0

    def count(self, step, num_steps, losses):
        """Takes note of a call of `num_steps` steps that ended at `step`."""
        self.sums += num_steps * np.array([losses["d_loss"], losses["g_loss"]])
        self.counted += num_steps
        self.bar.update(num_steps)
        if step % self.config.log_every == 0 or step == self.config.total_steps:
            self.log(step)
        elif self.compiling:  # The first call compiles: it would spoil the next record's rate.
            self.logged, self.logged_at = step, time.monotonic()
        self.compiling = False

    def log(self, step):
        """Records the means since the last record."""
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
        shown = {name: f"{value:.4g}" for name, value in scalars.items() if name != "steps_per_s"}
        self.bar.set_postfix(shown)
        if self.bar.disable and now - self.said_at > LOG_SECONDS:
            self.said_at = now
            left = (self.config.total_steps - step) / rate
            values = " ".join(f"{name}={value}" for name, value in shown.items())
            self.say(
                f"step {step}/{self.config.total_steps} {values} steps/s={rate:.3g} "
                f"ETA={tqdm.tqdm.format_interval(left)}"
            )
        self.logged, self.logged_at = step, now
        self.sums, self.counted = np.zeros(2), 0

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
        score = {self.judge.name: self.judge.score(self.sample(self.latents[:count], labels))}
        self.run.append("scores.jsonl", {"step": step, **score})
        self.write_scalars(step, score)
        return score[self.judge.name]

    def write_scalars(self, step, scalars):
        with self.writer.as_default(step):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
        self.writer.flush()

    def say(self, line):
        """A line on standard error, above the bar where there is one."""
        tqdm.tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()

    def close(self):
        self.bar.close()
        self.writer.close()


def gammas(state):
    """The learned weight of each attention layer, by network and layer name."""
    return {
        f"gamma/{network.name[0]}_{layer.name}": float(layer.gamma.numpy())
        for network in (state.generator, state.discriminator)
        for layer in network.stack
        if isinstance(layer, GatedResidual)
    }
