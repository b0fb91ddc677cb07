"""What `explore` writes for a run, as a user starts it."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
from PIL import Image
from process import assert_one_line, run

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.pages.attention_exhibit import real_like
from keras_sagan.runs.checkpoints import restore_networks
from keras_sagan.sampling.sampler import latents_of
from keras_sagan.visual import attention_maps


@pytest.fixture(scope="module")
def explored(finished, tmp_path_factory):
    """The page of every checkpoint, and what the command said."""
    path = tmp_path_factory.mktemp("explored") / "new" / "attention.html"
    which = ("--labels=7,2", "--seeds=5", "--truncation=none,0.5", "--checkpoint=all")
    code, out, err = run("explore", f"--run_dir={finished[0]}", f"--output={path}", *which)
    assert code == 0, err
    return path.read_text(), out


def element(page, name):
    return json.loads(re.search(f'id="{name}">(.*?)</script>', page, re.DOTALL).group(1))


def unpacked(text, view):
    """Maps of one image as the page has them, `[H, W, h, w]`."""
    values = zlib.decompress(base64.b64decode(text))
    shape = view["height"], view["width"]
    peaks = np.frombuffer(values, "<f4", shape[0] * shape[1]).reshape(*shape, 1, 1)
    levels = np.frombuffer(values, np.uint8, offset=peaks.nbytes)
    return levels.reshape(*shape, view["rows"], view["columns"]) * peaks / 255


def test_a_page_has_the_maps_of_both_networks_at_every_checkpoint(explored, finished):
    page, out = explored
    assert out.startswith("4 generated images of step 10, 20: ")
    assert out.endswith("\nclasses: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n")
    exhibit = element(page, "exhibit")
    assert exhibit["steps"] == [10, 20]
    assert exhibit["captions"] == {
        "generated": [
            "class 7, seed 5",
            "class 7, seed 5, truncation 0.5",
            "class 2, seed 5",
            "class 2, seed 5, truncation 0.5",
        ],
        "real": ["class 7", "class 7", "class 2", "class 2"],
    }
    run_dir, _ = finished
    config = Config.from_json((run_dir / "config.json").read_text())
    generator, discriminator = networks.generator(config), networks.discriminator(config)
    latents = np.concatenate([latents_of(5, 1, config.z_dim, bound) for bound in (None, 0.5)] * 2)
    labels = np.array([7, 7, 2, 2])
    for j, step in enumerate(exhibit["steps"]):
        path = str(run_dir / "checkpoints" / f"step-{step}")
        restore_networks(path, ema_generator=generator, discriminator=discriminator)
        images = np.round(generator(latents, labels, training=False) * 127.5 + 127.5)
        expected = [
            attention_maps(generator, latents, labels),
            attention_maps(discriminator, images / 127.5 - 1, labels),
        ]
        for i, (network, maps) in enumerate(zip((generator, discriminator), expected, strict=True)):
            view, (found,) = exhibit["views"][i], maps.values()
            texts = element(page, f"maps-{i}-{j}")
            for text, own in zip(texts, found, strict=True):
                np.testing.assert_allclose(unpacked(text, view), own, atol=view["error"] + 1e-5)
            gamma = network.attention_8.gamma.numpy()
            assert view["gammas"][j] == pytest.approx(gamma, rel=1e-6)
        assert exhibit["views"][2]["group"] == "real"
    assert "gamma over training, to step 20" in page
    assert "--labels=7,2" in page


def test_real_images_are_of_the_same_classes_and_each_once():
    labels = [1, 0, 1, 2, 1]
    assert list(real_like(labels, [1, 1, 0, 1, 1], 3)) == [0, 2, 1, 4, 0]
    assert list(real_like(labels, [0, 0, 0], 0)) == [0, 1, 2]


def test_a_figure_is_drawn(finished, tmp_path):
    path = tmp_path / "attention.png"
    which = ("--labels=3,1", "--seeds=0", "--layer=d_attention_8", "--checkpoint=10")
    code, out, err = run("explore", f"--run_dir={finished[0]}", f"--output={path}", *which)
    assert code == 0, err
    assert out.startswith("2 generated images of step 10: ")
    with Image.open(path) as picture:
        assert picture.width > 1000
        assert len(picture.getcolors(2**24)) > 100


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--checkpoint=last"], "--checkpoint must be newest, best, all, or steps"),
        (
            ["--checkpoint=all", "--format=png"],
            "shows a single checkpoint. Received: all",
        ),
        (["--labels=10"], "--labels must be numbers in 0...9. Received: 10"),
        (["--seeds=-1"], "--seeds must be whole numbers"),
        (["--truncation=0"], "--truncation must be positive numbers or none. Received: 0"),
        (["--layer=g_attention_16", "--format=png"], "one of g_attention_8, d_attention_8"),
        (["--layer=g_attention_8"], "a page has every layer"),
        (["--checkpoint=7"], "the step of a checkpoint, one of [10, 20]. Received: 7"),
    ],
)
def test_mistakes_are_one_line(finished, tmp_path, flags, part):
    output = tmp_path / "attention.html"
    result = run("explore", f"--run_dir={finished[0]}", f"--output={output}", *flags)
    assert_one_line(result, 2, part)
    assert not output.exists()


def test_a_run_without_attention_is_named(finished, tmp_path):
    config = json.loads((finished[0] / "config.json").read_text())
    config |= {"attention_block": "residual"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    result = run("explore", f"--run_dir={tmp_path}")
    assert_one_line(result, 2, "expected a run with attention", "attention_block=residual")
