"""The model card of a version: what it is, where it comes from, how good it is, how to ask it."""

import contextlib
import dataclasses
import json
import pathlib

from keras_sagan.config import Config
from keras_sagan.metrics.protocol import current_name
from keras_sagan.runs.provenance import version
from keras_sagan.serving.configs import BATCH_SIZES, REST_PORT
from keras_sagan.serving.signatures import signatures

NO_SCORES = """\
None of these weights at this step. To have some here, score the run, remove this version and export
it again:

    python -m keras_sagan.evaluate --run_dir=RUN_DIR --checkpoint={step}
"""


def model_card(run, config, generator, facts):
    """The card as Markdown.

    Args:
        run: `RunDirectory`.
        config: its `Config`.
        generator: network.
        facts: dict: `model`, the name by which clients know it; `version`; `step`; `ema`, whether
            the weights are averaged.
    """
    size, channels = config.image_size, config.image_channels
    color = "RGB" if channels == 3 else "grayscale"
    weights = "averaged weights" if facts["ema"] else "weights as trained"
    return "\n".join(
        [
            f"# {facts['model']}, version {facts['version']}",
            "",
            f"Generates {color} images of {size}x{size} pixels. A {config.model} network "
            f"of keras_sagan, trained on `{config.dataset}`: {weights} of step "
            f"{facts['step']:,}.",
            "",
            "## Classes",
            "",
            classes(config, run.read_environment()),
            "",
            "## Signatures",
            "",
            behavior(config),
            *(calls(name, generator, facts["model"]) for name in signatures(generator)),
            "## Scores",
            "",
            scores(run, facts),
            "",
            "## Training",
            "",
            training(run, config, facts["step"]),
            "",
        ]
    )


def behavior(config):
    shape = f"{config.image_size}, {config.image_size}, {config.image_channels}"
    labels = f"`labels` are int64 from 0 to {config.num_classes - 1}: with another one, or with "
    labels += "another number of labels than seeds, a request fails, and so do those that the "
    labels += "server put into a batch with it.\n"
    bfloat16 = ""
    if config.precision == "mixed_bfloat16":
        bfloat16 = (
            "Computed in bfloat16, whose rounding may move a level by some in another batch.\n"
        )
    return (
        "Inputs and outputs have a row for each of n images. "
        f"`images` are `[n, {shape}]`: levels from 0 to 255, of `latents` numbers from -1 to 1.\n"
        f"{labels if config.num_classes else ''}"
        "`seeds` are int64, and each is an image of its own. From 0 to 2147483647 they are those of"
        " `python -m keras_sagan.sample --seeds=...`. An image depends on its own row alone.\n"
        f"The server computes up to {BATCH_SIZES[-1]} rows at once.\n{bfloat16}"
    )


def calls(name, generator, model):
    """A signature's inputs and outputs, and a command that asks for it."""
    inputs, outputs = signatures(generator)[name]
    url = f"http://localhost:{REST_PORT}/v1/models/{model}:predict"
    values = {"labels": "[0]", "seeds": "[7]"}
    values["latents"] = "[[0.5" + ", 0.5" * (generator.example_shape[0] - 1) + "]]"
    given = ", ".join(f'"{key}": {values[key]}' for key in inputs)
    body = f'{{"signature_name": "{name}", "inputs": {{{given}}}}}'
    decode = (
        " \\\n      | python3 -c 'import base64, json, sys; "
        'sys.stdout.buffer.write(base64.b64decode(json.load(sys.stdin)["outputs"][0]["b64"]))'
        "' > image.png"
    )
    return (
        f"**{name}**: {listed(inputs)} to {listed(outputs)}\n\n"
        f"    curl -s {url} -d '{body}'{decode if name == 'png' else ''}\n"
    )


def listed(names):
    return ", ".join(f"`{name}`" for name in names)


def classes(config, environment):
    """Each class and its number; the numbers alone where the data are not at hand."""
    if not config.num_classes:
        return "None."
    names = class_names(config.data_dir, environment.get("data", {}).get("sha256"))
    if not names:
        return f"0 to {config.num_classes - 1}, the names of which are not at hand."
    # Indented, so that nothing in a name is Markdown.
    return "\n".join(f"    {label}  {' '.join(name.split())}" for label, name in enumerate(names))


def class_names(data_dir, sha256):
    """The classes of the prepared set with this content; None where there is none."""
    for path in pathlib.Path(data_dir).glob("prepared/*/dataset.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            record = json.loads(path.read_text())
            if record["sha256"] == sha256:
                return record["classes"]
    return None


def scores(run, facts):
    """The newest score of each metric, of these weights as they are served."""
    rows = {
        current_name(row["metric"]): row
        for row in run.rows("metrics.jsonl")
        if row.get("step") == facts["step"]
        and row.get("weights") == ("ema" if facts["ema"] else "raw")
        and row.get("batch_norm") == "moving"
        and row.get("value") is not None
    }
    if not rows:
        return NO_SCORES.format(step=facts["step"]).rstrip()
    lines = [["metric", "value", "generated", "real", "protocol", "measured"]]
    for name, row in rows.items():
        spread = row.get("standard_error") or row.get("standard_deviation")
        value = f"{row['value']:.6g}" + (f" ± {spread:.2g}" if spread else "")
        protocol = (row.get("protocol") or {}).get("name", "none")
        counts = [str(row.get(key) or "-") for key in ("n_fake", "n_real")]
        lines.append([name, value, *counts, protocol, row.get("time", "-")[:10]])
    return table(lines)


def training(run, config, step):
    """What the run was: data, effort, versions, and the command that repeats it."""
    environment = run.read_environment()
    data = environment.get("data", {})
    before = [row for row in run.rows("train.jsonl") if row.get("step", step) <= step]
    seconds = before[-1].get("seconds") if before else None
    packages = environment.get("packages", {})
    ours = ("keras-sagan", "tensorflow", "keras")
    facts = {
        "data": f"{config.dataset}, {data.get('count', '?')} images, sha256 {data.get('sha256')}",
        "images seen": f"{step * config.batch_size * config.d_steps:,}",
        "training time": f"{seconds / 60:.1f} minutes" if seconds else "not recorded",
        "device": f"{environment.get('device')}, {len(environment.get('devices', []))} in use",
        "precision": config.precision,
        "commit": environment.get("commit"),
        "packages": ", ".join(f"{name} {packages[name]}" for name in packages if packages[name]),
        "exported with": ", ".join(f"{name} {version(name)}" for name in ours),
    }
    command = f"    python -m keras_sagan.train --run_dir=RUN_DIR {' '.join(changed_flags(config))}"
    lines = [["", ""], *([name, str(value)] for name, value in facts.items())]
    return f"{table(lines)}\n\nThe same run again:\n\n{command}"


def changed_flags(config):
    """The flags whose values are not the defaults; not those of paths and records."""
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        lasting = not field.metadata["resumable"] or field.name == "total_steps"
        if lasting and value != field.default:
            yield f"--{field.name}={str(value).lower() if isinstance(value, bool) else value}"


def table(lines):
    head, *rows = (
        f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in line)} |"
        for line in lines
    )
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rows])
