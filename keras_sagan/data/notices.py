"""What preparation found in image files, and what it changed, in words."""

from collections.abc import Iterator

from keras_sagan.preprocessing import Preprocessing

# By the name of a note: a sentence with its count.
COUNTED = {
    "transparent": "transparent parts of {} become {p.background}; see --background",
    "animated": "only the first frame or page of {} is used",
    "reduced": "the height and width of {} above --max_megapixels={p.max_megapixels:g} were halved",
    "converted": "the colors of {} were converted from their profiles to sRGB",
    "bad_profile": "broken color profiles were ignored in {}",
    "sixteen_bit_color": "only the upper 8 of 16 bits per color were read in {}",
}


def add_notes(noticed: dict[str, int], notes: dict[str, int]) -> None:
    """Adds one image's notes to `noticed`: counts, and the largest values."""
    for name, value in notes.items():
        so_far = noticed.get(name, 0)
        noticed[name] = max(so_far, value) if name.startswith("highest") else so_far + value


def describe_notices(
    noticed: dict[str, int], count: int, preprocessing: Preprocessing
) -> list[str]:
    """Sentences for the user, one a line.

    Args:
        noticed: the sum of the notes of all images.
        count: number of images.
        preprocessing: how they were decoded.
    """
    lines = [
        *describe_shape(noticed, count, preprocessing),
        *describe_16_bits(noticed, preprocessing.white_level),
    ]
    for name, text in COUNTED.items():
        if name in noticed:
            lines.append(text.format(count_images(noticed[name]), p=preprocessing))
    return lines


def count_images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def describe_shape(
    noticed: dict[str, int], count: int, preprocessing: Preprocessing
) -> Iterator[str]:
    """What happens to the shape of most images, if they are not square."""
    p, found = preprocessing, noticed.get("not_square", 0)
    if found <= count / 2:
        return
    effects = {
        "crop": "keeps their central squares; see --fit and --crop_at",
        "pad": f"adds borders in {p.background}",
        "stretch": "distorts them",
    }
    if p.crop_at != "center":
        effects["crop"] = f"keeps one square of each, placed by --crop_at={p.crop_at}"
    yield f"{found:,} of {count_images(count)} are not square: --fit={p.fit} {effects[p.fit]}"


def describe_16_bits(noticed: dict[str, int], white_level: int) -> Iterator[str]:
    """A warning if the largest value of all images of 16 bits is far below or above white."""
    highest, count = noticed.get("highest_level", 0), noticed.get("sixteen_bit", 0)
    if 0 < highest < white_level / 4:
        white = 2 ** highest.bit_length() - 1
        yield (
            f"no value of {count_images(count)} of 16 bits is above {white:,}: they come out dark "
            f"without --white_level={white}"
        )
    elif highest > white_level:
        yield (
            f"the values of {count_images(count)} of 16 bits reach {highest:,}: those above "
            f"--white_level={white_level} are clipped"
        )
    upper = noticed.get("highest_upper_byte", 0)
    if 0 < upper < 64:
        yield (
            f"no value of {count_images(noticed['sixteen_bit_color'])} with 16 bits per color is "
            f"above {256 * upper + 255:,}: they come out dark unless you convert them to 8 bits"
        )
