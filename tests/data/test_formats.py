"""Image files: frames, files without extension, pointers, HEIF, and hints about others."""

import io
import zlib

import numpy as np
import pytest
from images import decoded, encoded, noise, notes, reason
from PIL import Image

from keras_sagan.data import formats
from keras_sagan.data.formats import FORMATS, HINTS, image_extensions, is_image

SIZE = 16
SQUARE = noise(SIZE, SIZE)
FRAMES = [Image.fromarray(noise(SIZE, SIZE, seed=i)) for i in range(3)]


def resized(array, width, height):
    return np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("PNG", {}),
        ("TIFF", {}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    ],
)
def test_first_of_several_frames(kind, options):
    frames = [frame.quantize(250) for frame in FRAMES] if kind == "GIF" else FRAMES
    file = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert notes(file) == {"animated": 1}
    tolerance = 3 if kind == "AVIF" else 0
    expected = np.asarray(frames[0].convert("RGB"), int)
    assert np.abs(decoded(file) - expected).max() <= tolerance
    assert notes(encoded(frames[0], kind, **options)) == {}


def test_broken_second_frame_does_not_matter():
    frames = [frame.quantize(250) for frame in FRAMES]
    first = encoded(frames[0], "GIF")[:-1]
    np.testing.assert_array_equal(decoded(first + b",\0"), np.asarray(frames[0].convert("RGB")))
    assert notes(first + b",\0") == {"animated": 1}


KINDS = [(kind, Image.fromarray(SQUARE)) for kind in FORMATS]
KINDS += [("PPM", Image.fromarray(SQUARE[..., 0])), ("BMP", Image.fromarray(SQUARE[..., 0] > 9))]


@pytest.mark.parametrize(("kind", "image"), KINDS, ids=[f"{kind} {i.mode}" for kind, i in KINDS])
def test_files_without_ending_are_images_by_their_content(kind, image):
    assert is_image(encoded(image, kind)[:1024])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"BMW is a maker of cars, and this is a text about cars that is longer than a head.",
        b"P5 is a processor; P6 too.\n",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"%PDF-1.7\n",
        b"\0\0\0\x20ftypisom\0\0\0\0",
        b"version https://git-lfs.github.com/spec/v1\n",
        zlib.compress(bytes(100)),
    ],
)
def test_other_files_are_no_images(head):
    assert not is_image(head + bytes(200))


def test_pointer_of_git_lfs_is_named(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (tmp_path / "a.png").write_bytes(pointer)
    assert "git lfs pull" in reason(pointer)
    assert "git lfs pull" in reason(str(tmp_path / "a.png"))


def heif(image, **options):
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=-1, chroma=444, **options)
    return file.getvalue()


def test_heif_images_are_read_if_the_extra_is_installed():
    smooth = resized(noise(4, 4), 60, 40)
    file = heif(Image.fromarray(smooth))
    assert is_image(file[:100])
    assert {".heic", ".heif", ".hif"} <= image_extensions()
    assert np.abs(decoded(file).astype(int) - decoded(smooth)).max() <= 4
    assert notes(file) == {"not_square": 1}
    assert "above --max_megapixels=0.001" in reason(file, max_megapixels=0.001)


def test_heif_images_with_alpha():
    smooth = np.dstack([resized(noise(4, 4), 32, 32), np.full((32, 32), 255, np.uint8)])
    smooth[:16, :, 3] = 0
    image = decoded(heif(Image.fromarray(smooth)), background="lime")
    assert np.abs(image[:7].astype(int) - [0, 255, 0]).max() <= 3
    assert (
        np.abs(image[9:].astype(int) - decoded(smooth[16:, :, :3], fit="stretch")[9:]).mean() < 60
    )


def test_without_the_extra_heif_files_are_named(monkeypatch):
    file = b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(100)
    monkeypatch.setattr(formats, "has_heif", lambda: False)
    assert reason(file) == f"a HEIF image: {HINTS['.heic']}"
    assert "keras-sagan[heif]" in reason(file)
    assert not is_image(file)
    assert not {".heic", ".heif", ".hif"} & image_extensions()


def test_hints_are_for_files_that_are_not_read(monkeypatch):
    monkeypatch.setattr(formats, "has_heif", lambda: False)
    assert not image_extensions().intersection(HINTS)
    assert ".avif" in image_extensions()
