"""One file, whatever it shows: data cannot break out of it, and nothing comes from elsewhere."""

import numpy as np
import pytest
from browser import scrolls_sideways
from PIL import Image

from keras_sagan.pages.html import data_url, make_page, script_json

HOSTILE = "</script><script>document.title = 'broken out'</script><!-- \u2028 é"


def written(tmp_path, *arguments, **named):
    path = tmp_path / "page.html"
    path.write_text(make_page(*arguments, **named))
    return path


def test_data_arrive_unchanged_and_cannot_end_their_element(tmp_path, open_page):
    value = {"text": HOSTILE, "numbers": [0, 1.5, -2e-9]}
    script = "window.read = JSON.parse(document.getElementById('it').textContent);\n"
    page = open_page(written(tmp_path, HOSTILE, "", script=script, data={"it": value}))
    assert page.evaluate("window.read") == value
    assert page.title().startswith(HOSTILE[:40])


def test_numbers_without_json_are_refused():
    with pytest.raises(ValueError, match="Out of range float"):
        script_json([float("nan")])


@pytest.mark.parametrize("part", ["style", "script"])
def test_styles_and_scripts_that_end_their_element_are_refused(part):
    with pytest.raises(ValueError, match=f"neither </{part}"):
        make_page("title", "", **{part: f"/* </{part.upper()}> */"})


def test_requests_are_refused_by_the_page_itself(tmp_path, browser):
    # Without `open_page`, to which a refused request is a fault.
    page = browser.new_page()
    page.goto(written(tmp_path, "title", "").as_uri())
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate("fetch('https://example.invalid/').catch(() => {})")
    page.close()


def test_pictures_stand_in_the_page(tmp_path, open_page):
    picture = tmp_path / "picture.png"
    Image.fromarray(np.zeros((3, 5), np.uint8)).save(picture)
    body = f'<img alt="black" src="{data_url(picture.read_bytes())}">'
    page = open_page(written(tmp_path, "title", body), width=360)
    assert page.evaluate("document.images[0].naturalWidth") == 5
    assert not scrolls_sideways(page)
