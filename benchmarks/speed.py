"""Speed, memory and costs of training and sampling, by model and setting.

python -m benchmarks.speed --models=sagan,keras_naive --image_sizes=32,128 --jit=off,on
python -m benchmarks.speed --models=sagan_plain,sagan --precisions=mixed_bfloat16

Every combination is a setting and gives a row. In each round every setting has one turn, in a
process of its own, so that what else the machine does falls on all alike; ratios are to the first
setting in the same round, of training images per second. Data are noise, fed as training feeds it.
`utilization` is the part of a matrix product's FLOP/s, measured in the same turn, that training
achieves; it counts the operations of the papers' form (`sagan_plain`), whatever form does the
work. A setting that fails is a row that says why, and then the exit code is 1.
"""

import itertools

from absl import flags

from benchmarks import apart
from benchmarks.speed_row import summary
from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.runs.provenance import PACKAGES

WITHOUT_SN = {"g_spectral_norm": False, "d_spectral_norm": False}
NO_ATTENTION = {"g_attention": "none", "d_attention": "none"}
# What of `Config` makes each model.
MODELS = {
    "sagan": {},
    "sagan_plain": {"fast": False},
    "sagan_reuse_fakes": {"reuse_fakes": True},
    "sagan_without_attention": NO_ATTENTION,
    "sagan_without_sn": WITHOUT_SN,
    "dcgan": {"model": "dcgan", "loss": "non_saturating"} | WITHOUT_SN | NO_ATTENTION,
    "keras_naive": {},
}
COLUMNS = (
    *("model", "image_size", "batch_size", "precision", "jit", "status", "error"),
    *("train_images_per_s", "ratio", "ratio_least_and_most", "sample_images_per_s"),
    *("step_ms_p50", "step_ms_p95", "compile_s", "host_peak_mib", "device_peak_mib"),
    *("g_macs", "d_macs", "utilization", "breakdown", "device"),
)

flags.DEFINE_list("models", ["sagan", "keras_naive", "dcgan"], f"Some of {', '.join(MODELS)}.")
flags.DEFINE_list("image_sizes", ["32"], "Heights of images, in pixels.")
flags.DEFINE_list("batch_sizes", ["8"], "Images a step.")
flags.DEFINE_list("precisions", ["float32"], "Some of float32, mixed_bfloat16.")
flags.DEFINE_list("jit", ["off"], "Whether XLA compiles the steps: some of auto, off, on.")
flags.DEFINE_integer("g_channels", 16, "Channels of the generator's last feature maps.")
flags.DEFINE_integer("d_channels", 16, "Channels of the discriminator's first feature maps.")
flags.DEFINE_integer("num_classes", 10, "Classes; 0: unconditional.", lower_bound=0)
flags.DEFINE_integer("steps", 20, "Timed training steps a turn.", lower_bound=1)
flags.DEFINE_integer("warmup_steps", 5, "Steps before them, after the first.", lower_bound=0)
flags.DEFINE_integer("steps_per_call", 1, "Steps in one call of the runtime.", lower_bound=1)
flags.DEFINE_integer("rounds", 3, "Turns of each setting; figures are medians.", lower_bound=1)
flags.DEFINE_bool("breakdown", False, "Milliseconds of the parts of a step, of models of ours.")
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one object a row.")


def main():
    settings = settings_from_flags()
    requests = [
        {"name": " ".join(map(str, setting.values())), "request": request(setting)}
        for setting in settings
    ]
    turns = apart.interleaved("benchmarks.speed_turn", requests, flags.FLAGS.rounds)
    common = shared() | apart.provenance(PACKAGES)
    rows = [
        {"benchmark": "speed"}
        | setting
        | summary(own, turns[0], flags.FLAGS.steps_per_call)
        | common
        for setting, own in zip(settings, turns, strict=True)
    ]
    apart.report(rows, flags.FLAGS.format, COLUMNS)


def settings_from_flags():
    """All combinations, each checked as a `Config`.

    Raises:
        UsageError: if one is impossible.
    """
    names = ("model", "image_size", "batch_size", "precision", "jit")
    values = flags.FLAGS
    for name in ("steps", "warmup_steps"):
        if getattr(values, name) % values.steps_per_call:
            raise UsageError(
                f"--{name} must be a multiple of --steps_per_call={values.steps_per_call}. "
                f"Received: {getattr(values, name)}"
            )
    lists = (
        values.models,
        commands.integers("image_sizes", 16, 512),
        commands.integers("batch_sizes", 1, 2**31 - 1),
        values.precisions,
        values.jit,
    )
    settings = [dict(zip(names, each, strict=True)) for each in itertools.product(*lists)]
    if not settings:
        raise UsageError("expected at least one value in each list of flags")
    for setting in settings:
        config_of(setting)
    return settings


def shared():
    """Flags that all settings have in common."""
    names = ("g_channels", "d_channels", "num_classes", "steps", "warmup_steps", "steps_per_call")
    return {name: getattr(flags.FLAGS, name) for name in (*names, "rounds")}


def config_of(setting):
    if setting["model"] not in MODELS:
        raise UsageError(
            f"--models must be some of {', '.join(MODELS)}. Received: {setting['model']}"
        )
    return Config(
        dataset="synthetic",
        image_size=setting["image_size"],
        batch_size=setting["batch_size"],
        precision=setting["precision"],
        jit_compile=setting["jit"],
        g_channels=flags.FLAGS.g_channels,
        d_channels=flags.FLAGS.d_channels,
        num_classes=flags.FLAGS.num_classes,
        replicas=1,
        **MODELS[setting["model"]],
    )


def request(setting):
    """What `speed_turn.measure` takes."""
    names = ("steps", "warmup_steps", "steps_per_call")
    counts = {name: getattr(flags.FLAGS, name) for name in names}
    asked = {"model": setting["model"], "config": config_of(setting).to_json()}
    return asked | counts | {"parts": flags.FLAGS.breakdown}


if __name__ == "__main__":
    commands.run(main, __doc__)
