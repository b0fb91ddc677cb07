"""Networks as any other Keras model: in predictions, exports, copies and larger models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.networks import dcgan, sagan

SIZES = {"image_size": 16, "channels": 4, "num_classes": 3}
draw = np.random.default_rng(0)
LATENTS = draw.normal(size=(5, 8)).astype("float32")
IMAGES = draw.normal(size=(5, 16, 16, 3)).astype("float32")
LABELS = np.array([0, 2, 1, 2, 0])
MAKE = {
    "sagan": lambda **classes: (sagan.generator(z_dim=8, attention=(8,), **classes), LATENTS),
    "dcgan": lambda **classes: (dcgan.discriminator(**classes), IMAGES),
}


@pytest.fixture(params=MAKE)
def network_and_inputs(request):
    return MAKE[request.param](**SIZES)


def test_predict_takes_inputs_and_labels(network_and_inputs):
    network, inputs = network_and_inputs
    expected = network(inputs, LABELS)
    np.testing.assert_allclose(
        network.predict([inputs, LABELS], verbose=0), expected, rtol=0, atol=1e-5
    )


def test_part_of_a_larger_model(network_and_inputs):
    network, inputs = network_and_inputs
    symbols = keras.Input(inputs.shape[1:]), keras.Input((), dtype="int32")
    outputs = network(list(symbols))
    assert outputs.shape == (None, *network(inputs, LABELS).shape[1:])
    model = keras.Model(symbols, outputs)
    np.testing.assert_allclose(model((inputs, LABELS)), network(inputs, LABELS), atol=1e-5)


def test_a_clone_has_the_same_form_and_weights_of_its_own(network_and_inputs):
    network, inputs = network_and_inputs
    clone = keras.models.clone_model(network)
    assert not np.array_equal(clone(inputs, LABELS), network(inputs, LABELS))
    clone.set_weights(network.get_weights())
    np.testing.assert_array_equal(clone(inputs, LABELS), network(inputs, LABELS))


@pytest.mark.parametrize("num_classes", [3, 0])
def test_an_export_takes_integer_labels(num_classes, tmp_path):
    network, inputs = MAKE["dcgan"](**SIZES | {"num_classes": num_classes})
    network.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    given = [inputs, LABELS.astype("int32")][: 2 if num_classes else 1]
    np.testing.assert_allclose(loaded.serve(*given), network(inputs, LABELS), rtol=0, atol=1e-5)


def test_labels_that_do_not_exist_are_named(network_and_inputs):
    network, inputs = network_and_inputs
    with pytest.raises(ValueError, match=r"in \[0, 3\)\. Received: labels=\[3, -1\]"):
        network(inputs, np.array([0, 3, 1, -1, 2]))
