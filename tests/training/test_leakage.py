"""What augmentation does to images must not appear in samples: how many have gray squares."""

import dataclasses

import numpy as np
import pytest
import smallest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.layers import Augment
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import load_generator
from keras_sagan.sampling.sampler import latents_of, make_sampler
from keras_sagan.training.draws import Dealer
from keras_sagan.training.run import train

CONFIG = Config(
    **smallest.NETWORKS | smallest.DCGAN | {"z_dim": 16, "g_channels": 16, "d_channels": 16},
    num_classes=0,
    batch_size=32,
    augment="cutout",
    augment_p=0.99,
    g_lr=1e-3,
    d_lr=1e-3,
    beta_1=0.5,
    bn_momentum=0.9,
    ema_decay=0.9,
    ema_start=10,
    total_steps=700,
    steps_per_call=50,
    jit_compile="off",
)
# Height and width of a square that counts. Cutout takes 8x8 pixels, which a generator learns later.
SIDE = 4


def share_with_squares(images):
    """The share of images, uint8 `[n, 16, 16, 1]`, with a gray square; digits have none."""
    gray = np.abs(images[..., 0] / 127.5 - 1) < 0.25
    windows = np.lib.stride_tricks.sliding_window_view(gray, (SIDE, SIDE), axis=(1, 2))
    return np.mean(windows.all(axis=(3, 4)).any(axis=(1, 2)))


def train_and_measure(config, folder):
    run = train(config, folder)
    generator, _ = load_generator(config, newest_checkpoint(run.checkpoints))
    sample = make_sampler(generator)
    return share_with_squares(sample(latents_of(1, 256, config.z_dim), np.zeros(256, np.int32)))


def unseen(self, step, purpose, draw=Dealer.draw):
    """Draws of a game with a fault: gates of fakes are above any probability."""
    draws = draw(self, step, purpose)
    return draws._replace(fake=tuple(tf.ones_like(each) for each in draws.fake))


@pytest.mark.slow
def test_samples_have_no_squares_unless_only_real_images_are_cut(tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, data_dir=str(tmp_path / "data"))
    images = prepare(config.image_set, config.data_dir).images[:256]
    assert share_with_squares(images) == 0
    seen = Augment("cutout")(images / np.float32(127.5) - 1)
    assert share_with_squares((seen.numpy() + 1) * 127.5) > 0.9
    right = train_and_measure(config, tmp_path / "right")
    monkeypatch.setattr(Dealer, "draw", unseen)
    wrong = train_and_measure(config, tmp_path / "wrong")
    assert right < 0.02
    assert wrong > 0.15
