"""The page of samples in a real browser: what it shows is what the arrays hold."""

import dataclasses
import itertools
import types

import numpy as np
import pytest
from browser import scrolls_sideways

from keras_sagan.pages.sample_page import Samples, Selection, sample_page

RNG = np.random.default_rng(0)
CLASSES, TRUNCATIONS, SEEDS, FRAMES, K = ["cat", "<b>dog"], (0.5, 1.0, 4.0), [3, 0, 9], 4, 4
SHAPE = (8, 8, 3)


def found(count, by, features=True):
    """Made-up neighbors: the distance that they are sorted by ascends."""
    index = RNG.permuted(np.tile(np.arange(40), (count, 1)), axis=1)[:, :K]
    distances = {name: RNG.uniform(1, 90, (count, K)) for name in ("pixels", "features")}
    distances[by].sort(axis=1)
    if not features:
        distances["features"] = None
    return types.SimpleNamespace(index=index, mirrored=RNG.random((count, K)) < 0.5, **distances)


def drawn(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


COUNT = len(CLASSES) * len(TRUNCATIONS) * len(SEEDS)
SAMPLES = Samples(
    selection=Selection([0, 1], SEEDS, [3, 0]),
    classes=CLASSES,
    truncations=TRUNCATIONS,
    images=drawn(2, 3, 3, *SHAPE),
    frames=drawn(2, 3, FRAMES, *SHAPE),
    real=drawn(40, *SHAPE),
    real_names=[CLASSES[i % 2] for i in range(40)],
    neighbors={name: found(COUNT, name) for name in ("pixels", "features")},
    references={name: np.sort(RNG.uniform(10, 80, 50)) for name in ("pixels", "features")},
)
# A gray generator without classes, of data without classes.
PLAIN = dataclasses.replace(
    SAMPLES,
    classes=[],
    images=drawn(1, 3, 3, 8, 8, 1),
    frames=drawn(1, 3, FRAMES, 8, 8, 1),
    real=drawn(40, 8, 8, 1),
    real_names=None,
    neighbors={"pixels": found(9, "pixels", features=False)},
    references={"pixels": SAMPLES.references["pixels"]},
)


def written(folder, samples, features="Features are made up."):
    path = folder / "page.html"
    page = sample_page(samples, "Samples of a & b", "Step 7.", features)
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    return written(tmp_path_factory.mktemp("page"), SAMPLES)


def pixels(image):
    """What the browser makes of an image: uint8 `[H, W, 3]`."""
    flat, width = image.evaluate("""async (image) => {
        await image.decode();
        const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
        return [Array.from(data), canvas.width];
    }""")
    return np.array(flat, np.uint8).reshape(-1, width, 4)[..., :3]


def choose(page, label, truncation, seed, frame=0):
    page.get_by_role("radio", name=CLASSES[label], exact=True).check()
    page.get_by_label("Truncation").fill(str(truncation))
    page.locator("#seeds").get_by_role("radio").nth(seed).check()
    page.get_by_label("Frame").fill(str(frame))


def neighbor(page, space, place):
    region = page.get_by_role("region", name=f"By {space}", exact=True)
    return region.get_by_role("listitem").nth(place)


def test_each_choice_shows_its_samples_and_frames(page_file, open_page):
    page = open_page(page_file)
    assert page.title() == "Samples of a & b"
    for label, truncation in itertools.product(range(2), range(3)):
        choose(page, label, truncation, seed=truncation, frame=truncation)
        images, frames = SAMPLES.images[label, truncation], SAMPLES.frames[label, truncation]
        for place, expected in {
            "#seeds": images,
            "#chosen": images[[truncation]],
            "#way": frames[[0, truncation, FRAMES - 1]],
        }.items():
            shown = [pixels(image) for image in page.locator(f"{place} img").all()]
            np.testing.assert_array_equal(shown, expected)
        assert page.locator("#truncation-value").inner_text() == f"{TRUNCATIONS[truncation]:g}"


def test_neighbors_are_those_of_the_sample_with_both_distances(page_file, open_page):
    page = open_page(page_file)
    for label, truncation, seed in [(0, 2, 0), (1, 0, 2)]:
        choose(page, label, truncation, seed)
        i = np.ravel_multi_index((label, truncation, seed), (2, 3, 3))
        for space, by in SAMPLES.neighbors.items():
            for j in range(K):
                item = neighbor(page, space, j)
                image, real = item.get_by_role("img"), by.index[i, j]
                np.testing.assert_array_equal(pixels(image), SAMPLES.real[real])
                turned = image.evaluate("image => getComputedStyle(image).transform")
                assert (turned == "matrix(-1, 0, 0, 1, 0, 0)") == by.mirrored[i, j]
                text = item.inner_text()
                assert f"{by.pixels[i, j]:.3g} levels" in text
                assert f"features {by.features[i, j]:.3g}" in text
                assert f"{CLASSES[real % 2]}, image {real}" in text
                assert ("mirrored" in text) == by.mirrored[i, j]
                assert ("levels" in item.locator("b").inner_text()) == (space == "pixels")


def test_distance_is_put_on_the_scale_of_real_images(page_file, open_page):
    page = open_page(page_file)
    choose(page, 1, 1, 1)
    i = np.ravel_multi_index((1, 1, 1), (2, 3, 3))
    for space, by in SAMPLES.neighbors.items():
        nearest, reference = getattr(by, space)[i, 0], SAMPLES.references[space]
        region = page.get_by_role("region", name=f"By {space}", exact=True)
        farther = f"{100 * np.mean(reference > nearest):.0f}% of real images are farther"
        assert farther in region.inner_text()
        assert farther in page.get_by_role("status").inner_text()
        quantiles = np.quantile(reference, [0.05, 0.25, 0.5, 0.75, 0.95])
        end = 1.1 * max(quantiles[-1], nearest)
        line = region.locator(".scale").bounding_box()
        for name, (left, right) in {
            "most": quantiles[[0, 4]],
            "half": quantiles[[1, 3]],
            "median": quantiles[[2, 2]],
            "this": [nearest, nearest],
        }.items():
            mark = region.locator(f".scale .{name}").bounding_box()
            assert (mark["x"] - line["x"]) / line["width"] == pytest.approx(left / end, abs=0.01)
            width = mark["width"] / line["width"]
            assert width == pytest.approx((right - left) / end, abs=0.01)


def test_tables_hold_the_quantiles(page_file, open_page):
    page = open_page(page_file)
    for space, by in SAMPLES.neighbors.items():
        rows = page.get_by_role("table", name=f"by {space}").locator("tbody tr")
        nearest = getattr(by, space)[:, 0].reshape(2, 3, 3)
        sets = [SAMPLES.references[space], *(nearest[:, i] for i in range(3))]
        assert rows.count() == len(sets)
        for i, values in enumerate(sets):
            cells = [float(cell) for cell in rows.nth(i).locator("td").all_inner_texts()]
            expected = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
            np.testing.assert_allclose(cells, expected, rtol=6e-3)


def test_keys_alone_reach_everything(page_file, open_page):
    page = open_page(page_file)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # Another class.
    page.keyboard.press("Tab")
    page.keyboard.press("Home")  # The least truncation.
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # Another sample.
    np.testing.assert_array_equal(pixels(page.locator("#chosen img")), SAMPLES.images[1, 0, 1])
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # The next frame.
    np.testing.assert_array_equal(pixels(page.locator("#way img").nth(1)), SAMPLES.frames[1, 0, 1])
    assert "seed 0, truncation 0.5" in page.locator("#chosen").inner_text()


@pytest.mark.slow_except("dark")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fingers_choose_on_a_phone(page_file, open_page, scheme):
    page = open_page(page_file, width=360, has_touch=True, is_mobile=True, color_scheme=scheme)
    page.get_by_role("radio", name="<b>dog", exact=True).tap()
    page.locator("#seeds").get_by_role("radio").nth(2).tap()
    np.testing.assert_array_equal(pixels(page.locator("#chosen img")), SAMPLES.images[1, 2, 2])
    assert not scrolls_sideways(page)
    for box in (each.bounding_box() for each in page.get_by_role("radio").all()):
        assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, target size.
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    assert dark == (scheme == "dark")


def test_screen_readers_have_a_name_for_everything(page_file, open_page):
    page = open_page(page_file)
    assert not scrolls_sideways(page)
    page.get_by_role("group", name="Class").get_by_role("radio", name="<b>dog").check()
    names = page.locator("img").evaluate_all("images => images.map((image) => image.alt)")
    assert all(names)
    sample = page.get_by_role("radio", name="Sample, class <b>dog, seed 9, truncation 4")
    sample.check()
    said = page.get_by_role("status").inner_text()
    assert said.startswith("By pixels: ")
    assert "By features: " in said
    slider = page.get_by_role("slider", name="Truncation")
    slider.fill("1")
    assert slider.get_attribute("aria-valuetext") == "1"
    assert page.get_by_role("slider", name="Frame").get_attribute("aria-valuetext") == "0 of 3"


@pytest.mark.slow_except("360")
@pytest.mark.parametrize("width", [360, 1440])
def test_gray_images_without_classes_and_features(width, tmp_path, open_page):
    page = open_page(written(tmp_path, PLAIN, "There are no features."), width=width)
    assert not page.get_by_role("group", name="Class").is_visible()
    page.get_by_label("Truncation").fill("0")
    page.locator("#seeds").get_by_role("radio").nth(1).check()
    gray = np.repeat(PLAIN.images[0, 0, 1], 3, axis=-1)
    np.testing.assert_array_equal(pixels(page.locator("#chosen img")), gray)
    text = page.locator("main").inner_text()
    assert "class" not in page.locator("#chosen").inner_text()
    assert "There are no features." in text
    assert page.get_by_role("heading", name="By features").count() == 0
    by = PLAIN.neighbors["pixels"]
    shown = neighbor(page, "pixels", 0).inner_text().split("\n")
    assert shown[0] == f"{by.pixels[1, 0]:.3g} levels"
    assert shown[-1].startswith(f"image {by.index[1, 0]}")
    assert not scrolls_sideways(page)


@pytest.mark.slow_except("256-128")
@pytest.mark.parametrize(("size", "kept"), [(64, 64), (256, 128)])
def test_large_images_are_smaller_files_and_the_page_says_so(size, kept, tmp_path, open_page):
    ramp = np.linspace(0, 255, size)
    smooth = np.stack(np.broadcast_arrays(ramp, ramp[:, None], 128), axis=-1).astype(np.uint8)
    large = dataclasses.replace(
        SAMPLES,
        images=np.broadcast_to(smooth, (2, 3, 3, *smooth.shape)),
        frames=np.broadcast_to(smooth, (2, 3, FRAMES, *smooth.shape)),
        real=np.broadcast_to(smooth, (40, *smooth.shape)),
    )
    page = open_page(written(tmp_path, large))
    shown = pixels(page.locator("#chosen img")).astype(int)
    assert shown.shape == (kept, kept, 3)
    expected = smooth.reshape(kept, size // kept, kept, size // kept, 3).mean(axis=(1, 3))
    assert np.abs(shown - expected).mean() < 4
    text = page.locator("main").inner_text()
    assert "WebP of quality 75" in text
    assert ("reduced from 256 to 128 pixels" in text) == (size == 256)
