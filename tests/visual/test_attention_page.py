"""The page of attention maps in Chromium, against the arrays that it was made from.

Images and maps are not square, so that nothing passes with height and width in each other's place.
"""

import dataclasses
import re

import numpy as np
import pytest
from browser import scrolls_sideways

from keras_sagan.pages.attention_page import Exhibit, View, attention_page, image_bytes, pack_maps
from keras_sagan.visual.maps import full_color, most_attended

RNG = np.random.default_rng(0)
TIMES = "\N{MULTIPLICATION SIGN}"
COUNT, STEPS = 3, [100, 2000]
GROUPS = ("generated", "real")
# Of the views: positions, group.
SHAPES = {
    "Generator, 8 x 12": ((8, 12), "generated"),
    "Generator, 4 x 6": ((4, 6), "generated"),
    "Discriminator, 4 x 6, on images that are real": ((4, 6), "real"),
}


def random_maps(count, height, width, concentration=0.2):
    """Uneven ones, `[count, H, W, H / 2, W / 2]`."""
    places = height * width // 4
    rows = RNG.gamma(concentration, size=(count, height, width, places)).astype("float32") + 1e-6
    rows /= rows.sum(axis=-1, keepdims=True)
    return rows.reshape(count, height, width, height // 2, width // 2)


MAPS = {name: [random_maps(COUNT, *shape) for _ in STEPS] for name, (shape, _) in SHAPES.items()}


def images(count, height=16, width=24):
    return RNG.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exhibit():
    views = [
        View(name, group, [0.0, -0.25], [pack_maps(maps) for maps in MAPS[name]])
        for name, (_, group) in SHAPES.items()
    ]
    return Exhibit(
        steps=STEPS,
        images={"generated": [images(COUNT) for _ in STEPS], "real": [images(COUNT)]},
        captions={group: [f"{group} {i}" for i in range(COUNT)] for group in GROUPS},
        views=views,
        curves={"Generator, 8 x 12": [(1, 0.0), (2000, -0.25)]},
    )


@pytest.fixture(scope="module")
def file(exhibit, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "attention.html"
    path.write_text(attention_page(exhibit, "Where <it> looks", ["A fact & more."]))
    return path


@pytest.fixture
def page(file, open_page):
    return settled(open_page(file))


def settled(page):
    """The page, once it shows what it was asked for, in the stage and in all images."""
    page.wait_for_selector("body[data-drawn=all]")
    return page


def point(page, y, x, rows, columns, act="move"):
    """Moves the mouse to, clicks or taps the center of a cell of the stage."""
    box = page.locator("#stage").bounding_box()
    place = (
        box["x"] + (x + 0.5) / columns * box["width"],
        box["y"] + (y + 0.5) / rows * box["height"],
    )
    {"move": page.mouse.move, "click": page.mouse.click, "tap": page.touchscreen.tap}[act](*place)
    settled(page)


def levels(page, selector="#map"):
    """What a canvas shows, `[h, w]`: the opacity of a place is its level."""
    shape, flat = page.locator(selector).evaluate(
        """(canvas) => {
            // A copy: Chromium warns of a canvas that is read time and again.
            const { width, height } = canvas;
            const context = new OffscreenCanvas(width, height).getContext("2d");
            context.drawImage(canvas, 0, 0);
            const { data } = context.getImageData(0, 0, width, height);
            return [[height, width], [...data].filter((_, i) => i % 4 === 3)];
        }"""
    )
    return np.array(flat).reshape(shape)


def assert_shows(page, attention, selector="#map"):
    found = levels(page, selector)
    assert found.shape == attention.shape
    np.testing.assert_allclose(found / 255, attention / full_color(attention), atol=1 / 255)


def select(page, name):
    page.get_by_label("Attention of").select_option(label=name)
    settled(page)


def said(page, name):
    return page.locator(f"#{name}").inner_text()


@pytest.mark.slow_except("Generator, 8 x 12")
@pytest.mark.parametrize("name", SHAPES)
def test_the_map_of_the_place_under_the_pointer_is_drawn(page, name):
    (height, width), _ = SHAPES[name]
    select(page, name)
    for y, x in ((0, 0), (0, width - 1), (height - 1, 0), (2, 5), (height - 2, 3)):
        point(page, y, x, height, width)
        attention = MAPS[name][-1][0, y, x]
        assert_shows(page, attention)
        assert said(page, "from") == f"row {y + 1}, column {x + 1} of {height} {TIMES} {width}"
        own = float(attention[y // 2, x // 2])
        place = f"row {y // 2 + 1}, column {x // 2 + 1}"
        assert said(page, "here").startswith(f"{place}: ")
        assert share(said(page, "here")) == pytest.approx(own, abs=rounding(attention))
        spread = np.exp(-(attention * np.log(attention)).sum())
        assert float(re.findall(r"[\d.]+", said(page, "spread"))[0]) == pytest.approx(
            spread, abs=0.3
        )


def rounding(attention):
    """Half a level, and half a unit of the last digit in percent."""
    return float(attention.max()) / 510 + 5e-5 + 1e-6


def share(text):
    return float(re.search(r"([\d.]+)%", text).group(1)) / 100


def test_arrows_lead_to_the_most_attended_places(page):
    box = page.locator("#stage").bounding_box()
    for y, x in ((0, 0), (5, 2), (7, 11)):
        point(page, y, x, 8, 12)
        attention = MAPS["Generator, 8 x 12"][-1][0, y, x]
        places = most_attended(attention)
        paths = page.locator("#marks path.over").evaluate_all(
            "all => all.map(p => p.getAttribute('d'))"
        )
        ends = [re.search(r" L([\d.]+),([\d.]+)", path).groups() for path in paths]
        found = [
            (int(float(down) / box["height"] * 4), int(float(right) / box["width"] * 6))
            for right, down in ends
        ]
        assert found == places
        row, column = places[0]
        assert said(page, "most").startswith(f"row {row + 1}, column {column + 1} of 4 {TIMES} 6: ")
        assert share(said(page, "most")) == pytest.approx(float(attention.max()), abs=1e-4)


def test_an_even_map_has_no_arrows_and_no_strong_colors(exhibit, tmp_path, open_page):
    even = np.full((COUNT, 4, 6, 2, 3), 1 / 6, np.float32)
    view = View("even", "generated", [0.0] * 2, [pack_maps(even)] * 2)
    path = tmp_path / "even.html"
    path.write_text(attention_page(dataclasses.replace(exhibit, views=[view]), "even", []))
    page = settled(open_page(path))
    assert page.locator("#marks path").count() == 0
    assert "no place above twice the uniform share" in said(page, "most")
    np.testing.assert_allclose(levels(page), 255 / 4, atol=1)


def test_every_image_shows_its_own_map_of_the_place(page):
    point(page, 3, 7, 8, 12)
    thumbs = page.locator("#images canvas")
    assert thumbs.count() == COUNT
    for i in range(COUNT):
        selector = f"#images > :nth-child({i + 1}) canvas"
        assert_shows(page, MAPS["Generator, 8 x 12"][-1][i, 3, 7], selector)


def test_pointing_into_an_image_of_the_grid_chooses_it_and_the_place(page):
    frame = page.locator("#images .frame").nth(2)
    box = frame.bounding_box()
    frame.click(position={"x": box["width"] * 0.99, "y": box["height"] * 0.3})
    settled(page)
    assert page.get_by_label("generated 2").is_checked()
    assert_shows(page, MAPS["Generator, 8 x 12"][-1][2, 2, 11])
    frame.hover(position={"x": box["width"] * 0.01, "y": box["height"] * 0.9})
    assert_shows(settled(page), MAPS["Generator, 8 x 12"][-1][2, 7, 0])


def test_a_click_holds_the_place_while_others_are_read(page):
    point(page, 1, 2, 8, 12, "click")
    attention = MAPS["Generator, 8 x 12"][-1][0, 1, 2]
    for row, column in ((0, 5), (3, 1)):
        point(page, row, column, 4, 6)
        assert_shows(page, attention)
        assert said(page, "here-name") == "under the cursor"
        assert said(page, "here").startswith(f"row {row + 1}, column {column + 1}: ")
        expected = float(attention[row, column])
        assert share(said(page, "here")) == pytest.approx(expected, abs=rounding(attention))
    point(page, 6, 9, 8, 12, "click")
    assert_shows(page, MAPS["Generator, 8 x 12"][-1][0, 6, 9])
    point(page, 7, 0, 8, 12)
    assert_shows(page, MAPS["Generator, 8 x 12"][-1][0, 7, 0])


def test_arrow_keys_move_the_place_and_stop_at_the_edges(page):
    stage = page.get_by_role("application", name="Place in the image")
    stage.focus()
    y, x = 4, 6  # The center.
    for key, down, right in (("ArrowUp", -1, 0), ("ArrowRight", 0, 1), ("ArrowRight", 0, 1)):
        stage.press(key)
        y, x = y + down, x + right
        assert_shows(settled(page), MAPS["Generator, 8 x 12"][-1][0, y, x])
    for _ in range(9):
        stage.press("ArrowDown")
        stage.press("ArrowLeft")
    for _ in range(2):
        stage.press("ArrowLeft")
    assert_shows(settled(page), MAPS["Generator, 8 x 12"][-1][0, 7, 0])


def test_space_holds_the_place_and_arrow_keys_read_others(page):
    stage = page.locator("#stage")
    stage.press(" ")
    stage.press("ArrowLeft")
    stage.press("ArrowUp")
    attention = MAPS["Generator, 8 x 12"][-1][0, 4, 6]
    assert_shows(settled(page), attention)
    assert said(page, "here").startswith("row 2, column 3: ")
    assert page.get_by_role("button", name="Hold this place", pressed=True).count() == 1
    stage.press("Escape")
    stage.press("ArrowUp")
    assert_shows(settled(page), MAPS["Generator, 8 x 12"][-1][0, 3, 6])
    page.get_by_label("generated 0").press("ArrowRight")
    assert_shows(settled(page), MAPS["Generator, 8 x 12"][-1][1, 3, 6])


def test_a_finger_chooses_and_reads(file, open_page):
    page = settled(open_page(file, width=360, height=740, has_touch=True, is_mobile=True))
    page.locator("#stage").scroll_into_view_if_needed()
    point(page, 6, 1, 8, 12, "tap")
    attention = MAPS["Generator, 8 x 12"][-1][0, 6, 1]
    assert_shows(page, attention)
    point(page, 2, 10, 8, 12, "tap")
    attention = MAPS["Generator, 8 x 12"][-1][0, 2, 10]
    assert_shows(page, attention)
    page.get_by_role("button", name="Hold this place").tap()
    page.locator("#stage").scroll_into_view_if_needed()
    point(page, 3, 1, 4, 6, "tap")
    assert_shows(page, attention)
    assert said(page, "here").startswith("row 4, column 2: ")


def test_training_is_played_step_by_step(page):
    slider = page.get_by_label("Training step")
    assert said(page, "step-text") == "2,000"
    assert "gamma -0.250" in said(page, "gamma")
    slider.press("Home")
    assert_shows(settled(page), MAPS["Generator, 8 x 12"][0][0, 4, 6])
    assert said(page, "step-text") == "100"
    assert page.locator(".now.on").count() == 1
    page.clock.install()
    play = page.get_by_role("button", name="Play training")
    play.click()
    for step in (1, 0):
        page.clock.run_for(900)
        assert_shows(settled(page), MAPS["Generator, 8 x 12"][step][0, 4, 6])
    play.click()
    page.clock.run_for(5000)
    assert said(page, "step-text") == "100"


def test_images_follow_the_step_and_the_group(page, exhibit):
    def shown():
        return page.locator("#picture").get_attribute("src")

    newest = shown()
    assert page.locator("#images img").first.get_attribute("src") == newest
    page.get_by_label("Training step").press("Home")
    settled(page)
    assert shown() != newest
    page.get_by_text("generated 2").click()
    select(page, "Discriminator, 4 x 6, on images that are real")
    assert page.get_by_label("real 2").is_checked()
    pixels = page.locator("#picture").evaluate(
        """async (image) => {
            await image.decode();
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    found = np.array(pixels).reshape(16, 24, 4)[..., :3]
    np.testing.assert_array_equal(found, exhibit.images["real"][0][2])


def test_the_map_can_stand_alone_and_so_can_the_image(page):
    look = page.get_by_label("Shown as")
    for value, image, canvas in (
        ("map only", "brightness(0)", "block"),
        ("image only", "none", "none"),
        ("map over image", "grayscale(1) brightness(0.6)", "block"),
    ):
        look.select_option(label=value)
        styles = "element => [getComputedStyle(element).filter, getComputedStyle(element).display]"
        assert page.locator("#picture").evaluate(styles)[0] == image
        assert page.locator("#map").evaluate(styles)[1] == canvas


def test_everything_that_can_be_used_has_a_name(page):
    for role, names in {
        "heading": ["Where <it> looks", "The same place in every image"],
        "combobox": ["Attention of", "Shown as"],
        "slider": ["Training step"],
        "button": ["Play training", "Hold this place"],
        "application": ["Place in the image"],
        "radio": [f"generated {i}" for i in range(COUNT)],
        "img": ["gamma over training"],
    }.items():
        for name in names:
            assert page.get_by_role(role, name=name).count() == 1, name
    unnamed = page.locator("button, select, input, [tabindex]").evaluate_all(
        "all => all.filter(e => !e.ariaLabel && !e.innerText.trim() && !e.labels?.length).length"
    )
    assert unnamed == 0
    assert page.get_by_role("status").filter(has_text="attends most to").count() == 1
    assert page.locator("#picture").get_attribute("alt") == "generated 0"


@pytest.mark.slow_except("360-dark")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_fits_phones_and_desks_by_day_and_night(file, open_page, width, scheme):
    page = settled(open_page(file, width=width, color_scheme=scheme))
    assert not scrolls_sideways(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    for control in page.locator("button, select, #stage").all():
        assert min(control.bounding_box()[side] for side in ("width", "height")) >= 40


def test_large_layers_have_the_map_of_every_second_position(exhibit, tmp_path, open_page):
    maps = random_maps(1, 64, 48)
    view = View("large", "generated", [0.1], [pack_maps(maps)])
    shown = dataclasses.replace(
        exhibit,
        views=[view],
        steps=[7],
        images={"generated": [images(1)]},
        captions={"generated": ["one"]},
    )
    path = tmp_path / "large.html"
    path.write_text(attention_page(shown, "large", []))
    page = settled(open_page(path))
    assert page.locator("#training").is_hidden()
    assert (
        "large: this page has the map of one in 2 x 2 positions"
        in page.locator(".facts").inner_text()
    )
    for y, x in ((10, 7), (31, 0)):
        point(page, y, x, 32, 24)
        assert_shows(page, maps[0, 2 * y + 1, 2 * x + 1])
        assert said(page, "from") == f"row {2 * y + 2}, column {2 * x + 2} of 64 {TIMES} 48"


def test_the_largest_error_is_as_stated():
    maps = MAPS["Generator, 8 x 12"][0]
    packed = pack_maps(maps)
    peaks = maps.max(axis=(-2, -1), keepdims=True)
    assert 0 < packed.error <= peaks.max() / 510 * 1.0001
    rounded = np.round(maps / peaks * 255) * peaks / 255
    assert packed.error == pytest.approx(np.abs(rounded - maps).max(), rel=1e-3)


@pytest.mark.parametrize("size", [8, 16, 64])
def test_the_room_that_maps_take_is_not_underestimated(size):
    # Random levels can hardly be compressed.
    maps = random_maps(1, size, size, concentration=1)
    assert 0.7 * image_bytes(size) < len(pack_maps(maps).texts[0]) <= image_bytes(size)


@pytest.mark.slow
def test_a_page_of_32_images_opens_in_two_seconds_and_has_less_than_15_mb(tmp_path, open_page):
    """Seconds of the thread that opens it, which other work on the machine does not lengthen."""
    views = [
        View(f"Generator, {size}", "generated", [0.1], [pack_maps(random_maps(32, size, size, 1))])
        for size in (32, 16)
    ]
    exhibit = Exhibit(
        steps=[7],
        images={"generated": [images(32, 32, 32)]},
        captions={"generated": [str(i) for i in range(32)]},
        views=views,
        curves={},
    )
    path = tmp_path / "page.html"
    path.write_text(attention_page(exhibit, "large", []))
    assert path.stat().st_size < 15e6
    page = open_page(path)
    page.wait_for_selector("body[data-drawn=stage], body[data-drawn=all]")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.reload()
    page.wait_for_selector("body[data-drawn=stage], body[data-drawn=all]")
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    values = {each["name"]: each["value"] for each in metrics}
    assert 0 < values["ScriptDuration"] < values["TaskDuration"] < 2
