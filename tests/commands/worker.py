"""One of two processes with a replica each, or one alone with two: trains what the test compares.

worker.py FORM FOLDER, with TF_CONFIG for the form multi_worker. Each process leaves `said.json`,
which has the errors that it got, and `features.npy`.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import sys
import time

import keras
import numpy as np
import smallest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.evaluation.fakes import FakeSettings, Inputs, fake_features
from keras_sagan.extractors.extractor import Extractor
from keras_sagan.metrics.protocol import NATIVE
from keras_sagan.training import run, start
from keras_sagan.training.session import SAGAN
from keras_sagan.training.state import State

STEPS = 5
# The simpler model: what two processes share is not in the layers, which take long to trace.
CONFIG = Config(
    **smallest.NETWORKS,
    **smallest.DCGAN,
    num_classes=10,
    batch_size=8,
    flip=True,
    ema_start=0,
    ema_decay=0.75,
    bn_momentum=0.5,
    total_steps=STEPS,
    steps_per_call=3,
    checkpoint_every=3,
)


def create(strategy, config):
    """Plain gradient descent, so that a wrong factor cannot hide behind Adam."""
    with strategy.scope():
        state = State.create(config)
        optimizers = keras.optimizers.SGD(), keras.optimizers.SGD()
        optimizers[0].build(state.generator.trainable_variables)
        optimizers[1].build(state.discriminator.trainable_variables)
    return dataclasses.replace(state, g_optimizer=optimizers[0], d_optimizer=optimizers[1])


METHOD = dataclasses.replace(SAGAN, create_state=create)


def features(strategy, config):
    """Of 10 fakes, in batches of 4: the last one is not full."""
    with strategy.scope():
        generator = State.create(config).generator

    def network(images):
        pooled = tf.reshape(tf.nn.avg_pool2d(images, 4, 4, "SAME"), [len(images), -1])
        return pooled, pooled[:, :3]

    extractor = Extractor("toy", False, "other", NATIVE, network, {})
    inputs = Inputs(1, config.z_dim, config.num_classes)
    settings = FakeSettings(count=10, batch_size=4, batch_norm="moving", keeps_images=False)
    return fake_features(strategy, generator, extractor, inputs, settings).features


def main(form, folder):
    own = folder / form
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"] if form != "mirrored" else 0
    config = dataclasses.replace(
        CONFIG,
        strategy=form,
        replicas=2 if form == "mirrored" else 0,
        data_dir=str(own / "data"),
    )
    cluster = start.make_cluster(config.strategy, config.replicas, config.batch_size)
    # A process has one strategy: those of several number their collectives alike and collide.
    start.make_cluster = lambda *_: cluster
    compiled = dataclasses.replace(config, jit_compile="on")
    # The second worker has nothing to read here, and is to write nothing.
    run.train(compiled, own / ("jit_of_another" if index else "jit"), METHOD)
    synchronized = dataclasses.replace(config, sync_batch_norm=True, jit_compile="off")
    run.train(synchronized, own / "sync", METHOD)
    (folder / f"{form} has trained").touch()
    if form == "multi_worker":
        adopt(folder, cluster)
        run.train(synchronized, own / "crossed", METHOD)
        out_of_time = dataclasses.replace(synchronized, total_steps=100, total_minutes=1e-9)
        run.train(out_of_time, own / "crossed", METHOD)
        own = own / f"worker{index}"
        own.mkdir()
        said = [
            refused(synchronized, folder, seed=1),
            refused(synchronized, folder, log_every=index + 1),
        ]
        (own / "said.json").write_text(json.dumps(said))
    np.save(own / "features.npy", features(cluster.strategy, config))


def refused(config, folder, **changes):
    try:
        changed = dataclasses.replace(config, **changes)
        run.train(changed, folder / "multi_worker" / "sync", METHOD)
    except UsageError as error:
        return str(error)
    return "nothing"


def adopt(folder, cluster):
    """Makes the first steps of the other form the run `crossed`."""
    while not (folder / "mirrored has trained").exists():
        time.sleep(0.1)

    def copy():
        crossed = folder / "multi_worker" / "crossed"
        shutil.copytree(folder / "mirrored" / "sync", crossed)
        for path in (crossed / "checkpoints").glob(f"step-{STEPS}.*"):
            path.unlink()

    cluster.run_on_chief(copy)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
