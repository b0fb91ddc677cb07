"""A network: layers in a row, each of which receives the call arguments that it names."""

import contextlib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers.tensors import at_least_float32
from keras_sagan.rules import IMAGE_SIZE

# Height and width, in pixels, of the smallest feature maps.
LOWEST = 4


def check_images_and_classes(image_size: int, num_classes: int) -> None:
    """Checks that networks for such images and labels exist.

    Raises:
        ValueError: if they do not.
    """
    if num_classes < 0:
        raise ValueError(f"`num_classes` must not be negative. Received: num_classes={num_classes}")
    if not IMAGE_SIZE.holds(image_size):
        raise ValueError(
            f"`image_size` must be {IMAGE_SIZE.text}. Received: image_size={image_size}"
        )


def count_halvings(image_size: int) -> int:
    """How many halvings of the resolution lead from images to the smallest feature maps."""
    return (image_size // LOWEST).bit_length() - 1


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """Layers made in this context have channels last, whatever keras.json says."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


class ExactOutputs(keras.layers.Layer):
    """A layer whose outputs are float32 under mixed precision, too."""

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        shape = super().compute_output_spec(*args, **kwargs).shape
        return keras.KerasTensor(shape, at_least_float32(self.compute_dtype))


@keras.saving.register_keras_serializable("keras_sagan")
class Network(ExactOutputs, keras.Model):
    """Calls the layers of `stack` in order and gives each the call arguments that it names.

    It is built when constructed, so its weights exist and it can be saved immediately. A layer that
    is not trainable is called as in evaluation: it stores neither statistics nor power iterations.

    Args:
        stack: list of layers, each taking the output of the one before. Each becomes an attribute
            under its name.
        example_shape: shape of one input, without the batch.
        num_classes: int, classes of its labels; 0 for a network without labels.

    Call arguments:
        inputs: `[batch, *example_shape]`, float; or the pair of these and labels, as `predict` and
            functional models pass them.
        labels: `[batch]`, int, in [0, num_classes). Ignored when `num_classes` is 0.
        training: bool, whether batch normalization uses batch statistics and stores them.
        advance_u: bool, whether spectral layers store their power iterations. None: in training.

    Raises:
        ValueError: if a network with classes is called without labels, or two layers share a name.
    """

    # Keras would add to every SavedModel a function of a single input, which fails with labels.
    _default_save_signature = None

    def __init__(
        self, stack: list[Any], example_shape: Iterable[int], num_classes: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.stack = stack
        for layer in stack:
            if hasattr(self, layer.name):
                raise ValueError(f"Layers need distinct names. Received: layer.name={layer.name!r}")
            # Keras hides lists from `tf.train.Checkpoint`: without this it would save no weights.
            setattr(self, layer.name, layer)
        self.example_shape, self.num_classes = tuple(example_shape), num_classes
        arguments = ("labels", "training", "advance_u")
        accepted = [inspect.signature(layer.call).parameters for layer in stack]
        self.taken = [[name for name in arguments if name in names] for names in accepted]
        self.build((None, *self.example_shape))

    def build(self, inputs_shape: Any) -> None:
        # By shapes alone: a symbolic call would trace every power iteration, for seconds.
        shape = inputs_shape
        for layer in self.stack:
            if not layer.built:
                layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(
        self, inputs, labels=None, training: bool = False, advance_u: bool | None = None
    ) -> tf.Tensor:
        if isinstance(inputs, (list, tuple)):
            inputs, labels = inputs
        if self.num_classes and labels is None:
            raise ValueError(
                f"A network with classes needs `labels`. Received: labels=None, {self.num_classes=}"
            )
        given = {"labels": labels, "training": training, "advance_u": advance_u}
        frozen = given | {"training": False, "advance_u": False}
        outputs = inputs
        for layer, names in zip(self.stack, self.taken, strict=True):
            values = given if layer.trainable else frozen
            outputs = layer(outputs, **{name: values[name] for name in names})
        return outputs

    def compute_output_shape(self, inputs_shape: Any, labels_shape: Any = None) -> Any:
        shape = inputs_shape[0] if isinstance(inputs_shape[0], (list, tuple)) else inputs_shape
        for layer in self.stack:
            shape = layer.compute_output_shape(shape)
        return shape

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Does what `keras.Model.export` does, for inputs and integer labels."""
        signature = [keras.layers.InputSpec(shape=(None, *self.example_shape), dtype="float32")]
        if self.num_classes:
            signature.append(keras.layers.InputSpec(shape=(None,), dtype="int32"))
        super().export(filepath, *args, **{"input_signature": signature} | kwargs)

    def layer_inputs(self, inputs: Any, labels: Any = None) -> tuple[dict[str, Any], tf.Tensor]:
        """Evaluates the network on the arguments of a call and keeps the input of every layer.

        Returns:
            A dict from the name of a layer to its input, and the outputs of the network.
        """
        given = {"labels": labels, "training": False, "advance_u": False}
        found, values = {}, inputs
        for layer, names in zip(self.stack, self.taken, strict=True):
            found[layer.name] = values
            values = layer(values, **{name: given[name] for name in names})
        return found, values

    def get_config(self) -> dict[str, Any]:
        stack = [keras.saving.serialize_keras_object(layer) for layer in self.stack]
        own = {"stack": stack, "example_shape": self.example_shape, "num_classes": self.num_classes}
        return super().get_config() | own

    @classmethod
    @channels_last()
    def from_config(cls, config: Any, custom_objects: Any = None) -> "Network":
        make = keras.saving.deserialize_keras_object
        stack: list[Any] = [make(layer, custom_objects) for layer in config["stack"]]
        return cls(**config | {"stack": stack})
