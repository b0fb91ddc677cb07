"""Folders of results of the benchmarks of speed, and reports as a reader gets them."""

import html.parser
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
COMMON = {
    **{"g_channels": 16, "d_channels": 16, "num_classes": 10, "steps": 4, "warmup_steps": 2},
    **{"steps_per_call": 1, "rounds": 2, "commit": "0123abc", "machine": "Linux", "cpus": 2},
    "versions": {"python": "3.11", "keras": "3"},
}


def render(folder):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks.render", f"--report_dir={folder}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "Traceback" not in result.stderr, result.stderr
    return result.returncode, result.stderr


def read(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def speed_row(model, rate, ratio, **changes):
    named = {"benchmark": "speed", "model": model, "image_size": 32, "batch_size": 8}
    named |= {"precision": "float32", "jit": "off"}
    figures = {"status": "ok", "train_images_per_s": rate, "ratio": ratio, "device": "CPU"}
    figures |= {"ratio_least_and_most": [ratio, ratio], "g_macs": 10**6, "device_peak_mib": None}
    rounds = {"train_images_per_s_by_round": [rate - 1, rate + 1]}
    return named | figures | rounds | COMMON | changes


def failed_row(model, reason):
    row = speed_row(model, 0, 0, status="failed", error=reason)
    figures = ("train_images_per_s", "ratio", "ratio_least_and_most", "g_macs", "device")
    return {name: value for name, value in row.items() if name not in figures}


def write_speed(folder, rows):
    folder.mkdir()
    (folder / "results.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def speed_rows():
    """Two runs one after the other, of three settings and two, and one of layers."""
    layer = {"benchmark": "layers", "part": "spectral", "image_size": 4, "channels": 8}
    layer |= {"batch_size": 2} | COMMON
    return [
        speed_row("sagan", 100.0, 1.0),
        speed_row("dcgan", 250.0, 2.5, ratio_least_and_most=[2.25, 2.75]),
        failed_row("keras_naive", "exit code -9: no | output"),
        speed_row("dcgan", 240.0, 1.0),
        speed_row("sagan", 60.0, 0.25, image_size=64),
        layer
        | {"layer": "keras_sagan", "status": "ok", "ms_p50": 2.0, "ratio": 1.0}
        | {"ratio_least_and_most": [1.0, 1.0], "sigma_errors": {"10": 0.5, "3": 0.25}},
        layer | {"layer": "tensorflow_addons", "status": "unavailable", "error": "not installed"},
    ]
