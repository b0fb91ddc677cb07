"""A network: layers in a row, of which each is handed what it takes."""

import inspect

import keras


@keras.saving.register_keras_serializable("keras_sagan")
class Network(keras.Model):
    """Calls `stack` in order; a layer whose `call` names a call argument below receives it.

    Built when made, so its weights exist and it can be saved at once.

    Args:
        stack: list of layers, the output of each being the input of the next. Each becomes an
            attribute of its name.
        example_shape: shape of one input, without the batch.
        num_classes: int, classes of the labels it needs; 0 for a network without labels.

    Call arguments:
        inputs: `[batch, *example_shape]`, float.
        labels: `[batch]`, int, in [0, num_classes). Not looked at when `num_classes` is 0.
        training: bool, whether batch normalization uses and records batch statistics.
        advance_u: bool, whether spectral layers keep their power iterations.

    Raises:
        ValueError: if a network with classes is called without labels, or two layers share a name.
    """

    def __init__(self, stack, example_shape, num_classes=0, **kwargs):
        super().__init__(**kwargs)
        self.stack = stack
        for layer in stack:
            if hasattr(self, layer.name):
                raise ValueError(
                    f"Layers need names of their own. Received: layer.name={layer.name!r}"
                )
            # Keras hides lists from `tf.train.Checkpoint`: without this it would save no weights.
            setattr(self, layer.name, layer)
        self.example_shape = tuple(example_shape)
        self.num_classes = num_classes
        arguments = ("labels", "training", "advance_u")
        accepted = [inspect.signature(layer.call).parameters for layer in stack]
        self.taken = [[name for name in arguments if name in names] for names in accepted]
        labels = keras.Input((), dtype="int32") if num_classes else None
        self(keras.Input(self.example_shape), labels)

    def call(self, inputs, labels=None, training=False, advance_u=False):
        if self.num_classes and labels is None:
            raise ValueError(
                f"A network with classes needs `labels`. Received: labels=None, {self.num_classes=}"
            )
        given = {"labels": labels, "training": training, "advance_u": advance_u}
        outputs = inputs
        for layer, names in zip(self.stack, self.taken, strict=True):
            outputs = layer(outputs, **{name: given[name] for name in names})
        return outputs

    def layer_inputs(self, inputs, labels=None):
        """What each layer is given in evaluation, and what comes out.

        Args:
            inputs: `[batch, *example_shape]`, float.
            labels: `[batch]`, int; as in a call.

        Returns:
            dict: layer name to the tensor that it is given; and the outputs of the network.
        """
        given = {"labels": labels, "training": False, "advance_u": False}
        found, values = {}, inputs
        for layer, names in zip(self.stack, self.taken, strict=True):
            found[layer.name] = values
            values = layer(values, **{name: given[name] for name in names})
        return found, values

    def get_config(self):
        stack = [keras.saving.serialize_keras_object(layer) for layer in self.stack]
        own = {
            "stack": stack,
            "example_shape": self.example_shape,
            "num_classes": self.num_classes,
        }
        return super().get_config() | own

    @classmethod
    def from_config(cls, config, custom_objects=None):
        stack = [
            keras.saving.deserialize_keras_object(layer, custom_objects)
            for layer in config["stack"]
        ]
        return cls(**config | {"stack": stack})
