"""`Config`: its rules, its text, and the flags made of it."""

import dataclasses
import importlib.metadata
import json

import pytest

import keras_sagan
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.rules import ALWAYS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 96}, "image_size must be a power of 2 from 16 to 512. Received: 96"),
        ({"image_size": 8}, "power of 2 from 16 to 512. Received: 8"),
        ({"g_attention": "12"}, "g_attention must be auto, none, or some of 8,16,32,64,128"),
        ({"g_attention": "4"}, "Received: 4"),
        ({"d_attention": "128"}, "d_attention must be auto, none, or some of 4,8,16,32,64, "),
        ({"d_attention": "32,x"}, "Received: 32,x"),
        ({"d_attention": "²"}, "Received: ²"),
        ({"image_size": 32, "d_attention": "4"}, "d_attention must be .* some of 8,16, "),
        ({"image_size": 16, "d_attention": "2"}, "d_attention must be .* some of 4,8, "),
        ({"beta_2": 1.0}, r"beta_2 must be in \[0, 1\). Received: 1.0"),
        ({"seed": 2**31}, "seed must be less than 2"),
        ({"batch_size": 0}, "batch_size must be at least 1. Received: 0"),
        ({"num_classes": -2}, "num_classes must be at least -1. Received: -2"),
        ({"fake_labels": "real"}, "fake_labels must be one of uniform, data. Received: real"),
        ({"max_bad_fraction": -0.1}, r"max_bad_fraction must be in \[0, 1\]. Received: -0.1"),
        ({"model": "biggan"}, "model must be one of sagan, dcgan. Received: biggan"),
        ({"image_channels": 4}, "image_channels must be one of 1, 3. Received: 4"),
        ({"batch_size": 1.5}, "batch_size must be int. Received: 1.5"),
        ({"g_spectral_norm": 1}, "g_spectral_norm must be bool. Received: 1"),
        ({"ema_decay": 1.5}, r"ema_decay must be in \[0, 1\]. Received: 1.5"),
        (
            {"total_minutes": float("nan")},
            "total_minutes must be finite and at least 0. Received: nan",
        ),
        (
            {"total_minutes": float("inf")},
            "total_minutes must be finite and at least 0. Received: inf",
        ),
        ({"g_lr": 0.0}, "g_lr must be positive and finite. Received: 0.0"),
        ({"g_lr": float("nan")}, "g_lr must be positive and finite. Received: nan"),
        ({"fit": "zoom"}, "fit must be one of crop, pad, stretch. Received: zoom"),
        ({"crop_at": "middle"}, "crop_at must be one of center, top, bottom, left, right. Rec"),
        (
            {"crop_at": "top", "fit": "pad"},
            "center unless fit=crop. Received: crop_at=top, fit=pad",
        ),
        ({"background": "whitish"}, "name of a color or #rrggbb. Received: background=whitish"),
        ({"background": "#ffffff80"}, "or #rrggbb. Received: background=#ffffff80"),
        ({"background": "rgb(300, 0, 0)"}, "or #rrggbb. Received: background=rgb"),
        ({"white_level": 0}, "white_level must be from 1 to 65535. Received: 0"),
        ({"white_level": 65536}, "white_level must be from 1 to 65535. Received: 65536"),
        ({"max_megapixels": 0.0}, "max_megapixels must be positive and finite. Received: 0.0"),
        ({"max_megapixels": float("inf")}, "must be positive and finite. Received: inf"),
        ({"model": "dcgan"}, "dcgan has neither attention nor spectral normalization"),
        ({"lr_decay": "step"}, "lr_decay must be one of none, linear, cosine. Received: step"),
        (
            {"lr_decay": "cosine"},
            "lr_decay=cosine needs lr_decay_steps of at least 1. "
            "Received: lr_decay=cosine, lr_decay_steps=0$",
        ),
        (
            {"lr_decay_steps": 9},
            "lr_decay_steps needs lr_decay=linear or lr_decay=cosine. "
            "Received: lr_decay=none, lr_decay_steps=9$",
        ),
    ],
)
def test_impossible_values_are_named(changes, message):
    with pytest.raises(UsageError, match=message):
        Config(**changes)


@pytest.mark.parametrize(
    ("size", "text", "g_expected", "d_expected"),
    [
        (128, "auto", (64,), (64,)),
        (16, "auto", (8,), (8,)),
        (512, "auto", (64,), (64,)),
        (64, "none", (), ()),
        (64, "", (), ()),
        (64, "32,8", (8, 32), (8, 32)),
        (64, "16, 16", (16,), (16,)),
    ],
)
def test_attention_resolutions(size, text, g_expected, d_expected):
    config = Config(image_size=size, g_attention=text, d_attention=text)
    assert config.g_attention_resolutions == g_expected
    assert config.d_attention_resolutions == d_expected


def test_generator_may_attend_in_full_size_and_discriminator_at_the_lowest():
    config = Config(image_size=64, g_attention="64", d_attention="4")
    assert config.g_attention_resolutions == (64,)
    assert config.d_attention_resolutions == (4,)


def test_json_round_trip():
    config = Config(image_size=64, g_lr=3e-5, sync_batch_norm=True)
    assert Config.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["g_lr"] == 3e-5


@pytest.mark.parametrize("text", ["{", "[1]", '{"image_sise": 64}', "3", "{}"])
def test_other_json_is_refused(text):
    with pytest.raises(UsageError, match=r"expected the .* of "):
        Config.from_json(text)
    values = dataclasses.asdict(Config()) | {"image_size": "64"}
    with pytest.raises(UsageError, match="image_size must be int. Received: '64'"):
        Config.from_json(json.dumps(values))


def test_config_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().image_size = 64  # pyright: ignore[reportAttributeAccessIssue]


LATER = [field for field in dataclasses.fields(Config) if field.metadata["before"] is not ALWAYS]


@pytest.mark.parametrize("field", LATER, ids=lambda field: field.name)
def test_field_that_an_earlier_version_lacks_means_what_was_done_then(field):
    values = json.loads(Config().to_json())
    del values[field.name], values["version"]
    expected = dataclasses.replace(Config(), **{field.name: field.metadata["before"]})
    assert Config.from_json(json.dumps(values)) == expected


def test_field_of_the_first_version_is_never_lacking():
    values = json.loads(Config().to_json())
    del values["z_dim"]
    with pytest.raises(UsageError, match=r"fields of a Config\. Received: no z_dim$"):
        Config.from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"r1_weight": 1.0}, "or earlier. Received: r1_weight, written by version 0.2.0$"),
        ({"r1_weight": 1.0, "version": "99.0.0"}, "or earlier. Received: version 99.0.0$"),
        ({"version": "0.3.0"}, "or earlier. Received: version 0.3.0$"),
        ({"version": "new"}, "expected a version, as 0.2.0. Received: new$"),
        ({"version": 3}, "expected a version, as 0.2.0. Received: 3$"),
    ],
)
def test_other_versions_are_named_in_one_line(changes, message):
    values = json.loads(Config().to_json()) | changes
    with pytest.raises(UsageError, match=message):
        Config.from_json(json.dumps(values))


def test_version_is_that_of_the_package():
    assert json.loads(Config().to_json())["version"] == keras_sagan.__version__
    assert importlib.metadata.version("keras-sagan") == keras_sagan.__version__
