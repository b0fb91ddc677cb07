"""Color profiles as bytes, and their colors in sRGB by the definitions of both."""

import struct

import numpy as np

# Columns are the primaries' XYZ under D50.
SRGB = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
DISPLAY_P3 = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
ADOBE_RGB = np.array(
    [
        [0.6097559, 0.2052401, 0.1492240],
        [0.3111242, 0.6256560, 0.0632197],
        [0.0194811, 0.0608902, 0.7448387],
    ]
)
D50 = (0.9642, 1.0, 0.8249)


def linear(values):
    """The light of sRGB values in [0, 1]."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encode(light):
    """sRGB values in [0, 255] of linear light."""
    light = np.clip(light, 0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * curve)


def to_srgb(light, primaries):
    """sRGB values of linear light `[..., 3]` of other primaries."""
    return encode(light @ np.linalg.solve(SRGB, primaries).T)


def lab_to_srgb(lab):
    f = (np.asarray(lab)[0] + 16) / 116 + np.array([lab[1] / 500, 0, -lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * D50
    return encode(np.linalg.solve(SRGB, xyz))


def fixed(*numbers):
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def xyz(numbers):
    return b"XYZ \0\0\0\0" + fixed(*numbers)


def gamma_curve(gamma):
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + b"\0\0"


def srgb_curve():
    values = np.round(65535 * linear(np.linspace(0, 1, 1024))).astype(">u2")
    return b"curv" + struct.pack(">II", 0, 1024) + values.tobytes()


def profile(kind, space, connection, tags):
    """An ICC profile of version 2.4."""
    header = struct.pack(">4sI4s4s4s", b"", 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + fixed(*D50) + bytes(48)
    offset, table, data = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, offset + len(data), len(content))
        data += content
    return struct.pack(">I", offset + len(data)) + header + table + data


def rgb_profile(primaries, curve):
    tags = {b"wtpt": xyz(D50)}
    for name, column in zip((b"r", b"g", b"b"), primaries.T, strict=True):
        tags |= {name + b"XYZ": xyz(column), name + b"TRC": curve}
    return profile(b"mntr", b"RGB ", b"XYZ ", tags)


def gray_profile(gamma):
    tags = {b"wtpt": xyz(D50), b"kTRC": gamma_curve(gamma)}
    return profile(b"mntr", b"GRAY", b"XYZ ", tags)


def ink(cyan, magenta, yellow, black):
    """The Lab color that `cmyk_profile` gives to inks of 0 or 1."""
    if black:
        return 0, 0, 0
    lightness = 100 - 15 * (cyan + magenta + yellow)
    return lightness, 30 * magenta - 20 * cyan, 40 * yellow - 20 * cyan


def cmyk_profile():
    inks = np.ndindex(2, 2, 2, 2)
    nodes = [[lab[0] * 2.55, lab[1] + 128, lab[2] + 128] for lab in (ink(*each) for each in inks)]
    same = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += 4 * same + np.round(nodes).astype(np.uint8).tobytes() + 3 * same
    return profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": xyz(D50), b"A2B0": lut})


P3 = rgb_profile(DISPLAY_P3, srgb_curve())
ADOBE = rgb_profile(ADOBE_RGB, gamma_curve(563 / 256))
