"""Names of classes, from a saved model and its export to a client that asks by name."""

import numpy as np
import pytest
import scan
import smallest
from exports import run_in_c_api
from server import Server

import keras_sagan as ks
from keras_sagan.serving.client import Client
from keras_sagan.serving.warmup import FILE

NAMES = ["ant", "black, white", "Käfer \N{BUG}"]
INT64, STRING = 9, 7


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model, saved and loaded, and the folder of its export."""
    folder = tmp_path_factory.mktemp("named")
    options = smallest.NETWORKS | smallest.DCGAN | {"num_classes": 3}
    ks.SAGAN(**options, class_names=NAMES).save(folder / "gan.keras")
    gan = ks.load(folder / "gan.keras")
    return gan, gan.export(folder / "served", version=1)


def test_a_loaded_model_knows_its_classes(exported):
    gan, _ = exported
    assert gan.class_names == NAMES
    images = gan.generate(["ANT", "kÄfer \N{BUG}"], seeds=[4, 5])
    np.testing.assert_array_equal(images, gan.generate([0, 2], seeds=[4, 5]))
    with pytest.raises(ValueError, match='names of classes: ant, "black, white", Käfer'):
        gan.generate("bee")


def test_every_row_of_the_signature_has_all_names(exported, tmp_path):
    _, version = exported
    meta = scan.read(version)
    assert scan.faults(meta) == []
    assert scan.described(meta)["classes"] == {
        "inputs": {"labels": (INT64, [None])},
        "outputs": {"class_names": (STRING, [None, 3])},
    }
    asked = {"two/classes/labels": np.array([0, 99])}
    expected = [[name.encode() for name in NAMES]] * 2
    answers = run_in_c_api(version, tmp_path, asked)
    assert answers["two/classes/class_names"].tolist() == expected
    assert b"classes" in (version / FILE).read_bytes()  # The server warms it up.
    card = (version / "README.md").read_text()
    assert "    1  black, white\n" in card
    assert "**classes**: `labels` to `class_names`\n" in card


def test_the_client_asks_by_name(exported):
    gan, version = exported
    expected = gan.generate([2, 1], seeds=[4, 5]).astype(int)
    with Server(version.parent, "sagan") as server:
        for protocol in ("rest", "grpc"):
            client = Client(getattr(server, protocol), protocol=protocol)
            assert client.class_names() == NAMES
            images = client.images([NAMES[2], "Black, White"], [4, 5])
            assert np.abs(images - expected).max() <= 1
