"""What an export is: run as a server does, compared with `sample`, and looked through."""

import io

import keras
import numpy as np
import pytest
import scan
import tensorflow as tf
from exports import (
    UNCONDITIONAL,
    export,
    random_run,
    randomize,
    run_in_c_api,
    run_in_session,
    sampled,
    trained_run,
)
from PIL import Image

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.layers import SelfAttention
from keras_sagan.networks.network import Network
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import load_generator
from keras_sagan.sampling.sampler import latents_of, latents_of_rows
from keras_sagan.serving.configs import BATCH_SIZES
from keras_sagan.serving.folding import fold_spectral_norm
from keras_sagan.serving.saved_model import write_saved_model
from keras_sagan.serving.warmup import FILE

FLOAT, LEVELS, STRING, INT64 = 1, 4, 7, 9
KINDS = {
    "gray": {"image_channels": 1},
    "deep": {"g_attention": "8,16"},
    "bfloat16": {"image_channels": 1, "precision": "mixed_bfloat16"},
    "unconditional": UNCONDITIONAL,
}
TRAINED = ("unconditional",)
# Largest difference in levels from one order of additions to another: bfloat16 has eight bits.
ROUNDING = {"gray": 1, "deep": 1, "bfloat16": 8, "unconditional": 1}
SEEDS = [0, 1, 2, 7, 2**31 - 1]
LABELS = [3, 0, 9, 3, 5]


@pytest.fixture(
    scope="module",
    params=["gray", *(pytest.param(kind, marks=pytest.mark.slow) for kind in [*KINDS][1:])],
)
def exported(request, tmp_path_factory):
    """A kind's name, a run, a version of it, and what its signatures answer in a Session."""
    folder = tmp_path_factory.mktemp(request.param)
    fields = KINDS[request.param]
    if request.param in TRAINED:
        run = trained_run(folder / "run", tmp_path_factory.getbasetemp() / "data", **fields)
    else:
        run = random_run(folder / "run", **fields)
    version = export(run, folder / "export")
    asked = questions(run.read_config(), scan.read(version))
    return request.param, run, version, run_in_session(version, folder, asked)


def questions(config, meta):
    """Every signature at five rows and one; in `far`, seeds that `sample` does not know."""
    latents = np.concatenate([latents_of(seed, 1, config.z_dim) for seed in SEEDS])
    arrays = {"seeds": np.int64(SEEDS), "labels": np.int64(LABELS), "latents": latents}
    asked = {
        f"{case}/{name}/{key}": arrays[key][rows]
        for case, rows in (("five", slice(5)), ("one", slice(3, 4)))
        for name, signature in meta.signature_def.items()
        for key in signature.inputs
    }
    far = {"seeds": np.int64([-1, 2**31, 2**63 - 1]), "labels": np.int64([1, 1, 1])}
    inputs = meta.signature_def["serving_default"].inputs
    return asked | {f"far/serving_default/{key}": far[key] for key in inputs}


def differences(images, others):
    """Largest difference in levels, and the share of levels that differ at all."""
    distance = np.abs(images.astype(int) - others.astype(int))
    return distance.max(), np.mean(distance > 0)


def test_images_are_those_of_sample(exported):
    kind, run, _, answers = exported
    expected = sampled(run, None if kind == "unconditional" else LABELS, SEEDS)
    assert len(np.unique(expected)) > 50  # Not all black or gray.
    most, share = differences(answers["five/serving_default/images"], expected)
    assert most <= ROUNDING[kind]
    assert kind == "bfloat16" or share < 0.01


def test_signatures_agree_with_each_other(exported):
    kind, _, _, answers = exported
    images = answers["five/serving_default/images"]
    for file, image in zip(answers["five/png/image_bytes"], images, strict=True):
        picture = np.asarray(Image.open(io.BytesIO(file)))
        np.testing.assert_array_equal(picture.reshape(image.shape), image)
    floats = answers["five/latents/images"]
    assert np.abs(floats).max() <= 1
    assert differences(np.round(floats * 127.5 + 127.5), images)[0] <= ROUNDING[kind]
    if "five/attention/images" in answers:
        assert differences(answers["five/attention/images"], images)[0] <= ROUNDING[kind]


def test_a_row_does_not_depend_on_the_others(exported):
    kind, _, _, answers = exported
    for name in [name for name in answers if name.startswith("one/") and "png" not in name]:
        alone, among = answers[name], answers[name.replace("one/", "five/")][3:4]
        if alone.dtype == np.uint8:
            assert differences(alone, among)[0] <= ROUNDING[kind]
        else:
            tolerance = 0.1 if kind == "bfloat16" else 1e-5
            np.testing.assert_allclose(alone, among, atol=tolerance)


def test_attention_is_that_of_the_layers(exported, monkeypatch):
    kind, run, _, answers = exported
    found = {
        name.split("/")[2]: value.shape
        for name, value in answers.items()
        if name.startswith("five/attention/attention")
    }
    small, large = (5, 64, 16), (5, 256, 64)
    expected = {
        "gray": {"attention": small},
        "bfloat16": {"attention": small},
        "deep": {"attention_8": small, "attention": large},
        "unconditional": {},
    }
    assert found == expected[kind]
    maps, call = [], SelfAttention.call

    def recorded(layer, inputs, **arguments):
        maps.append(layer.attention_map(inputs))
        return call(layer, inputs, **arguments)

    monkeypatch.setattr(SelfAttention, "call", recorded)
    generator, _ = load_generator(run.read_config(), newest_checkpoint(run.checkpoints))
    latents = np.concatenate([latents_of(seed, 1, generator.example_shape[0]) for seed in SEEDS])
    maps.clear()  # Keras calls a network when it is made.
    generator(latents, np.array(LABELS))
    assert len(maps) == len(found)
    for name, weights in zip(sorted(found, reverse=True), maps, strict=True):
        tolerance = 0.05 if kind == "bfloat16" else 1e-5
        value = answers[f"five/attention/{name}"]
        np.testing.assert_allclose(value, weights, atol=tolerance)
        np.testing.assert_allclose(value.sum(axis=2), 1, rtol=1e-5)


def test_every_int64_is_a_seed_of_its_own(exported):
    _, _, _, answers = exported
    images = answers["far/serving_default/images"]
    assert len(np.unique(images.reshape(3, -1), axis=0)) == 3


def test_the_c_library_runs_the_same(exported, tmp_path):
    kind, run, version, in_session = exported
    asked = questions(run.read_config(), scan.read(version))
    answers = run_in_c_api(version, tmp_path, asked)
    assert set(answers) == set(in_session) - {"cpu_seconds"}
    for name, value in answers.items():
        np.testing.assert_array_equal(value, in_session[name], err_msg=f"{kind} {name}")


def test_graph_is_as_documented(exported):
    kind, run, version, _ = exported
    meta, config = scan.read(version), run.read_config()
    assert scan.faults(meta) == []
    image = [None, 16, 16, config.image_channels]
    labels = {} if kind == "unconditional" else {"labels": (INT64, [None])}
    seeds = labels | {"seeds": (INT64, [None])}
    levels = {"images": (LEVELS, image)}
    expected = {
        "serving_default": {"inputs": seeds, "outputs": levels},
        "png": {"inputs": seeds, "outputs": {"image_bytes": (STRING, [None])}},
        "latents": {
            "inputs": labels | {"latents": (FLOAT, [None, 4])},
            "outputs": {"images": (FLOAT, image)},
        },
    }
    maps = {
        "gray": {"attention": (FLOAT, [None, 64, 16])},
        "bfloat16": {"attention": (FLOAT, [None, 64, 16])},
        "deep": {
            "attention_8": (FLOAT, [None, 64, 16]),
            "attention": (FLOAT, [None, 256, 64]),
        },
    }
    if kind in maps:
        expected["attention"] = {"inputs": seeds, "outputs": levels | maps[kind]}
    assert scan.described(meta) == expected


def test_graph_has_no_power_iteration_and_no_training_state(exported):
    _, run, version, _ = exported
    generator = networks.generator(run.read_config())
    weights = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    expected = {v.path for v in generator.variables if not v.path.endswith("vector_u")}
    assert set(weights.get_variable_to_shape_map()) == expected
    operations = {node.op for node in scan.nodes_of(scan.read(version))}
    assert not operations & {"L2Loss", "Square", "RealDiv"}  # Of norms and of sigma.


@pytest.mark.slow
def test_warm_up_replays(exported, tmp_path):
    from tensorflow_serving.apis import prediction_log_pb2

    _, _, version, _ = exported
    meta, asked, rows = scan.read(version), {}, {}
    for i, record in enumerate(tf.data.TFRecordDataset(str(version / FILE))):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        name = request.model_spec.signature_name
        assert request.model_spec.name == "sagan"
        assert set(request.inputs) == set(meta.signature_def[name].inputs)
        for key, value in request.inputs.items():
            asked[f"{i}/{name}/{key}"] = tf.make_ndarray(value)
            rows[f"{i}/{name}"] = len(asked[f"{i}/{name}/{key}"])
    requests = [name.split("/")[1] for name in rows]
    assert set(requests) == set(meta.signature_def)
    warmed = [count for name, count in rows.items() if name.endswith("/serving_default")]
    assert warmed == list(BATCH_SIZES)
    answers = run_in_session(version, tmp_path, asked)
    for name in rows:
        signature = meta.signature_def[name.split("/")[1]]
        for key, info in signature.outputs.items():
            shape = [d.size for d in info.tensor_shape.dim]
            assert list(answers[f"{name}/{key}"].shape) == [rows[name], *shape[1:]]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """A run with the networks of the quickstart, its version, and what is wrong with requests."""
    folder = tmp_path_factory.mktemp("quickstart")
    run = random_run(folder / "run", image_channels=1, z_dim=32, g_channels=32)
    version = export(run, folder / "export")
    wrong = {"outside": [3, 10, -1], "fewer": [3], "more": [0, 1, 2, 3]}
    asked = {}
    for case, labels in wrong.items():
        for name in ("serving_default", "png", "attention", "latents"):
            asked[f"{case}/{name}/labels"] = np.int64(labels)
            key = "latents" if name == "latents" else "seeds"
            asked[f"{case}/{name}/{key}"] = (
                np.zeros([3, 32], np.float32) if key == "latents" else np.int64([0, 1, 2])
            )
    return run, version, run_in_session(version, folder, asked)


def test_wrong_labels_are_errors_that_say_so(quickstart):
    _, _, answers = quickstart
    for name in ("serving_default", "png", "attention", "latents"):
        texts = [str(answers[f"{case}/{name}/error"]) for case in ("outside", "fewer", "more")]
        assert all(text.startswith("InvalidArgumentError: ") for text in texts)
        assert "[expected labels in 0...9. Received: [10 -1]]" in texts[0]
        assert "[expected 3 labels. Received: 1]" in texts[1]
        assert "[expected 3 labels. Received: 4]" in texts[2]


def test_quickstart_is_small_and_loads_quickly(quickstart):
    run, version, answers = quickstart
    reader = tf.train.load_checkpoint(str(run.checkpoints / "step-20"))
    shapes = reader.get_variable_to_shape_map()
    weights = 4 * sum(
        int(np.prod(shape)) for name, shape in shapes.items() if name.startswith("ema_generator/")
    )
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    assert size < 1.2 * weights
    assert answers["cpu_seconds"] < 3


@pytest.mark.parametrize("kind", ["gray", "deep", "bfloat16"])
def test_folded_generator_is_the_same_function(kind):
    config = Config(image_size=16, z_dim=4, g_channels=4, num_classes=10, **KINDS[kind])
    generator = networks.generator(config)
    randomize(generator, 0)
    before = generator.get_weights()
    folded = fold_spectral_norm(generator)
    latents, labels = latents_of(0, 3, 4), tf.constant([0, 5, 9])
    expected, values = generator(latents, labels), folded(latents, labels)
    np.testing.assert_allclose(values, expected, atol=0 if kind == "bfloat16" else 1e-5)
    assert np.std(expected) > 0.1
    features = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    for old, new in zip(generator.stack, folded.stack, strict=True):
        if isinstance(old, SelfAttention) and old.name == "attention_8":
            channels = 2 * old.value.filters
            maps = [layer.attention_map(features[..., :channels]) for layer in (old, new)]
            np.testing.assert_allclose(maps[0], maps[1], atol=1e-5)
    for value, kept in zip(generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)


def test_latents_of_rows_are_those_of_each_seed():
    seeds = [0, 5, 5, 2**31 - 1]
    expected = np.concatenate([latents_of(seed, 1, 3) for seed in seeds])
    np.testing.assert_array_equal(latents_of_rows(tf.constant(seeds, tf.int64), 3), expected)
    low, high, negative = latents_of_rows(tf.constant([7, 2**32 + 7, 7 - 2**32], tf.int64), 3)
    assert not np.isin(high, low).any()
    assert not np.isin(negative, [*low, *high]).any()


def on_device(images):
    with tf.device("/device:CPU:0"):
        return tf.tanh(images)


FAULTS = {
    "compiled by XLA": tf.function(tf.identity, jit_compile=True),
    "Python function EagerPyFunc": lambda images: tf.ensure_shape(
        tf.py_function(tf.identity, [images], tf.float32), [None, 4, 4, 1]
    ),
    "device /device:CPU:0": on_device,
    "operation Exp": tf.exp,
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_planted_fault_is_found(fault, tmp_path):
    layer = keras.layers.Lambda(FAULTS[fault], output_shape=(4, 4, 1), name="fault")
    stack = [keras.layers.Dense(16, name="dense"), keras.layers.Reshape((4, 4, 1), name="r"), layer]
    write_saved_model(Network(stack, (2,), name="generator"), tmp_path / "1")
    meta = scan.read(tmp_path / "1")
    assert fault in scan.faults(meta)


def test_planted_tag_and_method_are_found(tmp_path):
    stack = [keras.layers.Dense(1, name="dense"), keras.layers.Reshape((1, 1, 1), name="images")]
    write_saved_model(Network(stack, (1,), name="generator"), tmp_path / "1")
    meta = scan.read(tmp_path / "1")
    assert scan.faults(meta) == []
    meta.meta_info_def.tags.append("train")
    meta.signature_def["png"].method_name = "tensorflow/serving/classify"
    meta.graph_def.node[0].attr["newer"].b = True
    assert len(scan.faults(meta)) == 3
