"""The game of `train` as a Keras model: `compile`, `fit`, callbacks and saving."""

import dataclasses
import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_sagan.api.feeding import Feed, explain_mistakes, feed_arrays, feed_dataset
from keras_sagan.api.requests import check_class_names, check_positive, make_config
from keras_sagan.config import Config
from keras_sagan.runs.initial_weights import read_initial_weights
from keras_sagan.training import health
from keras_sagan.training.adam import OptimizerPair
from keras_sagan.training.game import GAMES
from keras_sagan.training.loop import play_steps
from keras_sagan.training.micro_batches import check_parts
from keras_sagan.training.state import State, gamma_variables


class GameModel(keras.Model):
    """Networks and optimizers of a `Config`, trained by `fit` as `train` would train them.

    The variables belong to the strategy in whose scope the model is made.

    Args:
        class_names: of all classes; None: their numbers.
        name: of the model.
        read_source: whether to read the weights that `init_from` names.
        **options: fields of `Config`.
    """

    def __init__(
        self,
        *,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        read_source: bool = True,
        **options: Any,
    ) -> None:
        config = make_config(options)
        names = check_class_names(class_names, config.num_classes)
        # The networks have a policy of their own; latents stay float32.
        super().__init__(name=name, dtype="float32")
        self.config, self.class_names = config, names
        self.state = State.create(config)
        if config.init_from and read_source:
            initial = read_initial_weights(config)
            if fresh := initial.assign_to(self.state):
                warnings.warn(initial.describe(fresh, config.num_classes), stacklevel=2)
        # Attributes, so that Keras saves them.
        self.generator, self.discriminator = self.state.generator, self.state.discriminator
        self.ema_generator = self.state.ema_generator
        self.g_optimizer, self.d_optimizer = self.state.g_optimizer, self.state.d_optimizer
        self.means = [keras.metrics.Mean(name) for name in (*health.LOSSES, *health.STATISTICS)]
        self.game: Any = None  # The `Game` that `play_step` plays.
        self.compiles_game, self.built = False, True

    def call(self, latents: Any, labels: Any = None) -> tf.Tensor:
        """Applies the averaged generator, as in evaluation.

        Args:
            latents: float `[n, z_dim]`, or a pair of latents and labels.
            labels: int `[n]`, for a model with classes.

        Returns:
            Images, float32 `[n, H, W, C]` in [-1, 1].
        """
        if isinstance(latents, list | tuple):
            latents, labels = latents
        return self.ema_generator(latents, labels, training=False)

    def compile(self, jit_compile: bool = False, run_eagerly: bool = False) -> None:  # pyright: ignore
        """Prepares `fit`, which otherwise does it; optimizers and losses come from `config`.

        Args:
            jit_compile: bool, whether XLA compiles the losses and gradients. The random numbers
                stay the same, because they are drawn outside.
            run_eagerly: bool, whether to run each operation by itself, for debugging.

        Example:
            >>> gan.compile(jit_compile=True)
        """
        # Keras itself must not compile: XLA would draw other noise.
        super().compile(optimizer=None, jit_compile=False, run_eagerly=run_eagerly)
        optimizers = [self.g_optimizer, self.d_optimizer]
        self.optimizer = OptimizerPair(optimizers, self.g_optimizer.iterations)
        self.game, self.compiles_game = None, jit_compile

    def fit(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        steps_per_epoch: int | None = None,
        initial_epoch: int = 0,
        class_counts: Sequence[int] | None = None,
        callbacks: Any = None,
        verbose: Any = "auto",
    ) -> keras.callbacks.History:
        """Trains both networks as `keras-sagan train` does, in batches of `config.batch_size`.

        Arrays give the same weights as `train` on the same images in the same order, and are
        shuffled by `config.seed` and the step: a model that is restored and trained on, by
        `BackupAndRestore`, saved weights or a saved model, sees the images that it would have seen.
        A dataset keeps its own order. Each step takes `batch_size * d_steps` images. The learning
        rates of callbacks such as `ReduceLROnPlateau` apply to each optimizer.

        Args:
            x: images, uint8 or float in [-1, 1]: an array `[N, H, W, C]`, or a `tf.data.Dataset`
                of images or `(images, labels)`, single or in batches of any size. Its attribute
                `class_names`, if it has one, names classes without names.
            y: int `[N]`, labels of an array; None with a dataset or without classes.
            epochs: int, number of the last epoch.
            steps_per_epoch: int. None: as many as the images allow.
            initial_epoch: int, epochs that are done already.
            class_counts: ints, images of each class in a dataset, for `fake_labels="data"`.
            callbacks: list of Keras callbacks.
            verbose: as for any Keras model.

        Returns:
            A history of `d_loss`, `g_loss`, statistics of logits and gradients, and the gamma of
            each attention layer, named as in train.jsonl. All but gamma are means over an epoch.

        Raises:
            ValueError: if images or labels do not fit the model, or are too few for a step. Values
                beyond the first images are checked when a step reads them.

        Example:
            >>> gan.compile(run_eagerly=True)
            >>> "g_loss" in gan.fit(images, labels, verbose=0).history
            True
        """
        if not self.compiled:
            self.compile()
        steps = 1 if steps_per_epoch is None else steps_per_epoch
        check_positive(epochs=epochs, steps_per_epoch=steps)
        feed = self.make_feed(x, y, steps_per_epoch, class_counts)
        self.adopt_class_names(getattr(x, "class_names", None))
        self.prepare_game(feed.class_counts)
        with warnings.catch_warnings(), explain_mistakes():
            # An epoch without `steps_per_epoch` ends where a dataset of unknown size ends.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            return super().fit(
                feed.dataset,
                epochs=epochs,
                steps_per_epoch=feed.steps_per_epoch,
                initial_epoch=initial_epoch,
                shuffle=False,
                callbacks=callbacks,
                verbose=verbose,
            )

    def make_feed(
        self, x: Any, y: Any, steps_per_epoch: int | None, class_counts: Sequence[int] | None
    ) -> Feed:
        """The images and labels of `fit`, checked and in the batches of steps."""
        if not isinstance(x, tf.data.Dataset):
            return feed_arrays(np.asarray(x), y, self.config, self.state.step, steps_per_epoch)
        if y is not None:
            raise ValueError("expected labels within the dataset. Received: y as well")
        return feed_dataset(x, self.config, steps_per_epoch, class_counts)

    def adopt_class_names(self, names: Sequence[str] | None) -> None:
        """Takes names as of `keras.utils.image_dataset_from_directory`, if there are none yet."""
        numbers = check_class_names(None, self.config.num_classes)
        if names and self.class_names == numbers and len(names) == len(numbers):
            self.class_names = check_class_names(names, len(numbers))

    def prepare_game(self, class_counts: Sequence[int] | None) -> None:
        """Makes the game that `play_step` plays, unless there is one for these counts already.

        Raises:
            ValueError: if the counts are needed and unknown, or the batch does not divide evenly.
        """
        config, replicas = self.config, self.distribute_strategy.num_replicas_in_sync
        check_parts(config.batch_size, replicas, config.accumulate)
        by_data = config.fake_labels == "data" and config.num_classes
        if by_data and len(class_counts or ()) != config.num_classes:
            raise ValueError(
                f"expected class_counts, the number of images of each of {config.num_classes} "
                f"classes, because fake_labels=data. Received: {class_counts}"
            )
        game = GAMES[config.reuse_fakes](config, self.state, class_counts or (), self.compiles_game)
        if self.game is None or game.class_weights != self.game.class_weights:
            self.game, self.train_function = game, None

    def make_train_function(self, force: bool = False) -> Callable[[Any], dict[str, Any]]:
        """Makes what `fit` calls for each step: not `train_step`, but the loop of `train`.

        TensorFlow rounds differently outside of a loop.
        """
        if self.train_function is None or force:
            train = self.play_step if self.run_eagerly else tf.function(self.play_step)

            def train_function(iterator):
                batches = iterator.get_next_as_optional()
                if not batches.has_value():
                    raise StopIteration
                return train(batches.get_value(), tf.constant(1))

            self.train_function = train_function
        return self.train_function

    def play_step(self, batches: Any, num_steps: tf.Tensor) -> dict[str, Any]:
        """Plays one step on the batches of a `Feed`; returns running means and the gammas.

        `num_steps` is 1, as a tensor, so that the loop stays a loop.
        """
        strategy, step = self.distribute_strategy, self.state.step
        numbers, _ = play_steps(strategy, self.game, lambda: batches, step, num_steps)
        for mean in self.means:
            mean.update_state(numbers[mean.name])
        gammas = {name: tf.identity(gamma) for name, gamma in gamma_variables(self.state).items()}
        return {mean.name: mean.result() for mean in self.means} | gammas

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Not available; raises `NotImplementedError`."""
        raise NotImplementedError("expected training by fit. Received: train_on_batch")

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Not available, because a generator has no loss on images.

        Raises:
            NotImplementedError: always; use `score`.
        """
        raise NotImplementedError("expected score(images, labels). Received: evaluate")

    def get_config(self) -> dict[str, Any]:
        config = json.loads(self.config.to_json())
        return {"name": self.name, "class_names": [*self.class_names], "config": config}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> "GameModel":
        # Like that of a run, it may have been written by an earlier version.
        options = dataclasses.asdict(Config.from_json(json.dumps(config["config"])))
        options |= {"name": config["name"], "class_names": config["class_names"]}
        return cls(read_source=False, **options)

    def get_compile_config(self) -> dict[str, Any]:
        return {"jit_compile": self.compiles_game, "run_eagerly": self.run_eagerly}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**config)

    def save_own_variables(self, store: Any) -> None:
        for name, variable in self.own_variables().items():
            store[name] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        for name, variable in self.own_variables().items():
            variable.assign(np.asarray(store[name]))

    def own_variables(self) -> dict[str, tf.Variable]:
        """What is neither in a network nor in an optimizer, by name."""
        return {"step": self.state.step, **self.state.adaptive}
