"""Asks TensorFlow Serving for images and draws them as a grid.

python -m keras_sagan.client --server=localhost:8501 --labels=3,7 --seeds=0,1 --output=grid.png
python -m keras_sagan.client --server=localhost:8501 --labels=cats,dogs --output=grid.png
python -m keras_sagan.client --server=localhost:8500 --protocol=grpc --labels=3 --output=grid.png
python -m keras_sagan.client --server=localhost:8501 --status
python -m keras_sagan.client --server=localhost:8501 --metadata
"""

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.classes import is_number, parse_labels
from keras_sagan.errors import UsageError
from keras_sagan.serving.client import Client
from keras_sagan.visual.grid import make_grid, save_png

flags.DEFINE_string(
    "server", None, "HOST:PORT. The server's usual ports: 8501 for REST, 8500 for gRPC. Required."
)
flags.DEFINE_enum(
    "protocol", "rest", ["rest", "grpc"], "rest, or grpc, which needs the extra serving."
)
flags.DEFINE_string("model", "sagan", "Name by which the server knows the model.")
flags.DEFINE_integer(
    "version", None, "Version of the model. Default: the newest one on the server.", lower_bound=0
)
flags.DEFINE_list(
    "labels",
    None,
    "Classes by label or name, as for sample, e.g. 0,2 or cats,dogs, one row each. Names need a "
    "model that was exported with them. Not for a network without classes.",
)
flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4", "5", "6", "7"], "Seeds, one column each.")
flags.DEFINE_string("output", "grid.png", "PNG file to write.")
flags.DEFINE_float("timeout", 60, "Time limit for all requests and retries, in seconds.")
flags.DEFINE_integer(
    "retries",
    3,
    "Retries of a request, with growing pauses, if the server is unavailable or refuses or drops "
    "the connection.",
    lower_bound=0,
)
flags.DEFINE_bool("status", False, "Print versions and their states instead.")
flags.DEFINE_bool("metadata", False, "Print signatures with dtypes and shapes instead.")

# Labels are int32.
MOST_CLASSES = 2**31


def main() -> None:
    given = flags.FLAGS
    server = commands.require("server")
    seeds = commands.integers("seeds")
    if given.status and given.metadata:
        raise UsageError("--status and --metadata exclude each other")
    model = given.model, given.version
    client = Client(server, *model, given.protocol, given.timeout, given.retries)
    if given.status:
        for each in client.status():
            error = f": {each['error']}" if each["error"] else ""
            print(f"version {each['version']}: {each['state']}{error}")
    elif given.metadata:
        for name, signature in client.metadata().items():
            inputs, outputs = map(list_tensors, (signature["inputs"], signature["outputs"]))
            print(f"{name}: {inputs} -> {outputs}")
    else:
        labels = None if given.labels is None else read_labels(client, given.labels)
        draw_images(client, labels, seeds or [])


def list_tensors(tensors: dict[str, tuple[str, list[int | None]]]) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (dtype, shape) in tensors.items())


def read_labels(client: Client, texts: list[str]) -> list[int]:
    """The flag `--labels` as labels; the server is asked for the names of classes if need be."""
    if all(map(is_number, texts)):
        return parse_labels("--labels", texts, MOST_CLASSES, [])
    names = client.class_names()
    return parse_labels("--labels", texts, len(names), names)


def draw_images(client: Client, labels: list[int] | None, seeds: list[int]) -> None:
    """Writes a grid with a row for each label and a column for each seed."""
    rows = 1 if labels is None else len(labels)
    classes = None if labels is None else np.repeat(labels, len(seeds))
    images = client.images(classes, np.tile(seeds, rows))
    grid = make_grid(images, len(seeds))
    output = commands.write("output", lambda path: save_png(grid, path, images.shape[1]))
    of_classes = "" if labels is None else f", one row for each of the labels {labels}"
    print(f"{len(images)} images{of_classes}: {output}")


if __name__ == "__main__":
    commands.run(main, __doc__)
