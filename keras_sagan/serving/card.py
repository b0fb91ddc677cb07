"""The model card of a version: what it is, where it comes from, how good it is, how to use it."""

import dataclasses
import pathlib
from typing import Any

from keras_sagan.config import Config
from keras_sagan.networks.network import Network
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.facts import newest_scores
from keras_sagan.runs.provenance import version
from keras_sagan.serving.configs import BATCH_SIZES, REST_PORT
from keras_sagan.serving.signatures import Names, signatures

NO_SCORES = """\
There are none for these weights at this step. To add some, score the run, delete this version and
export it again:

    python -m keras_sagan.evaluate --run_dir=RUN_DIR --checkpoint={step}
"""


def model_card(
    run: RunDirectory | None, config: Config, generator: Network, facts: dict[str, Any]
) -> str:
    """Describes a version in Markdown.

    Args:
        run: the run directory; None for weights of a preset or of `SAGAN.fit`.
        config: its configuration.
        generator: the exported network.
        facts: `model`, the name by which clients know it; `version`; `step`; `ema`, whether the
            weights are averaged; `class_names`, a list, or None if they are unknown.
    """
    public = {"dataset": config.image_set.dataset.public_text}
    public["init_from"] = pathlib.PurePath(config.init_from).name
    config = dataclasses.replace(config, **public)
    shape = config.image_set.image_shape
    color = "RGB" if shape[2] == 3 else "grayscale"
    weights = "averaged weights" if facts["ema"] else "weights as trained"
    signed, (z_dim,) = signatures(generator, facts["class_names"]), generator.example_shape
    sections = {
        "Classes": class_list(config.num_classes, facts["class_names"]),
        "Signatures": f"{behavior(shape, config.num_classes, config.precision)}\n"
        + "\n".join(usage(name, *names, facts["model"], z_dim) for name, names in signed.items()),
        "Scores": score_table(run, facts) if run else "None.",
        "Training": training_section(run, config, facts["step"]),
    }
    trained_on = f"trained on `{config.dataset}`, " if run else ""
    about = (
        f"Generates {color} images of {shape[0]}x{shape[1]} pixels. It is a {config.model} network "
        f"of keras_sagan, {trained_on}with the {weights} of step {facts['step']:,}.\n"
    )
    texts = (f"## {title}\n\n{text.rstrip()}\n" for title, text in sections.items())
    return "\n".join([f"# {facts['model']}, version {facts['version']}\n", about, *texts])


def training_section(run: RunDirectory | None, config: Config, step: int) -> str:
    """What training took and, for a run, on which data and how to repeat it."""
    seen = {"images seen": f"{step * config.batch_size * config.d_steps:,}"}
    if not run:
        return training_table(seen | {"precision": config.precision}, {})
    environment = run.read_environment()
    data = environment.get("data", {})
    about = f"{config.dataset}, {data.get('count', '?')} images, sha256 {data.get('sha256')}"
    effort = {"data": about, **seen, "training time": training_time(run, step)}
    table = training_table(effort | {"precision": config.precision}, environment)
    flags = " ".join(config.changed_flags())
    return (
        f"{table}\n\nTo repeat the run:\n\n"
        f"    python -m keras_sagan.train --run_dir=RUN_DIR {flags}"
    )


def behavior(image_shape: tuple[int, ...], num_classes: int, precision: str) -> str:
    """What every signature does."""
    shape = ", ".join(map(str, image_shape))
    labels = (
        f"`labels` are int64 from 0 to {num_classes - 1}. A request with another label, or with "
        "more or fewer labels than seeds, fails. So do the requests that the server batched with "
        "it.\n"
    )
    bfloat16 = "The network computes in bfloat16, so a level may differ slightly between batches.\n"
    return (
        "Inputs and outputs have one row for each of n images. "
        f"`images` are `[n, {shape}]`: levels from 0 to 255, or numbers from -1 to 1 if made of "
        f"`latents`.\n{labels if num_classes else ''}"
        "`seeds` are int64; each gives an image of its own. From 0 to 2147483647 they are the "
        "seeds of `python -m keras_sagan.sample --seeds=...`. An image depends on its own row "
        "alone.\n"
        f"The server computes up to {BATCH_SIZES[-1]} rows at once.\n"
        f"{bfloat16 if precision == 'mixed_bfloat16' else ''}"
    )


def usage(name: str, inputs: Names, outputs: Names, model: str, z_dim: int) -> str:
    """A signature's inputs and outputs, and a command that asks for it."""
    url = f"http://localhost:{REST_PORT}/v1/models/{model}:predict"
    values = {"labels": "[0]", "seeds": "[7]"}
    values["latents"] = "[[0.5" + ", 0.5" * (z_dim - 1) + "]]"
    given = ", ".join(f'"{key}": {values[key]}' for key in inputs)
    body = f'{{"signature_name": "{name}", "inputs": {{{given}}}}}'
    decode = (
        " \\\n      | python3 -c 'import base64, json, sys; "
        'sys.stdout.buffer.write(base64.b64decode(json.load(sys.stdin)["outputs"][0]["b64"]))'
        "' > image.png"
    )
    takes, gives = (", ".join(f"`{each}`" for each in names) for names in (inputs, outputs))
    return (
        f"**{name}**: {takes} to {gives}\n\n"
        f"    curl -s {url} -d '{body}'{decode if name == 'png' else ''}\n"
    )


def class_list(num_classes: int, names: list[str] | None) -> str:
    """Each class and its number; the numbers alone without `names`."""
    if not num_classes:
        return "None."
    if not names:
        return f"0 to {num_classes - 1}. Their names are not available here."
    # Indented, so that nothing in a name is Markdown.
    listed = "\n".join(f"    {label}  {' '.join(name.split())}" for label, name in enumerate(names))
    return f"{listed}\n\nEach row of the signature `classes` has all of these names."


def score_table(run: RunDirectory, facts: dict[str, Any]) -> str:
    """The newest score of each metric for these weights as they are served."""
    rows = newest_scores(run, facts["step"], facts["ema"])
    if not rows:
        return NO_SCORES.format(step=facts["step"])
    lines = [["metric", "value", "generated", "real", "protocol", "measured"]]
    for name, row in rows.items():
        spread = row.get("standard_error") or row.get("standard_deviation")
        value = f"{row['value']:.6g}" + (f" ± {spread:.2g}" if spread else "")
        protocol = (row.get("protocol") or {}).get("name", "none")
        counts = [str(row.get(key) or "-") for key in ("n_fake", "n_real")]
        lines.append([name, value, *counts, protocol, row.get("time", "-")[:10]])
    return markdown_table(lines)


def training_time(run: RunDirectory, step: int) -> str:
    """How long the run took to reach `step`."""
    before = [row for row in run.rows("train.jsonl") if row.get("step", step) <= step]
    seconds = before[-1].get("seconds") if before else None
    return f"{seconds / 60:.1f} minutes" if seconds else "not recorded"


def training_table(effort: dict[str, str], environment: dict[str, Any]) -> str:
    """What the run took, and with which device and versions."""
    packages = environment.get("packages", {})
    ours = ("keras-sagan", "tensorflow", "keras")
    of_start = {
        "device": f"{environment.get('device')}, {len(environment.get('devices', []))} in use",
        "commit": environment.get("commit"),
        "packages": ", ".join(f"{name} {packages[name]}" for name in packages if packages[name]),
    }
    facts = effort | (of_start if environment else {})
    facts["exported with"] = ", ".join(f"{name} {version(name)}" for name in ours)
    return markdown_table([["", ""], *([name, str(value)] for name, value in facts.items())])


def markdown_table(lines: list[list[str]]) -> str:
    head, *rows = (
        f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in line)} |"
        for line in lines
    )
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rows])
