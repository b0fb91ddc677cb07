"""Speed, memory and costs of training and sampling, by model and setting.

python -m benchmarks.speed --models=sagan,keras_naive --image_sizes=32,128 --jit=off,on
python -m benchmarks.speed --models=sagan_plain,sagan --precisions=mixed_bfloat16

Every combination is a setting and gives one row. In each round, every setting is measured once in
its own process, so that other load on the machine affects all settings alike. Ratios are of
training images per second, to the first setting in the same round. The data are noise, fed as in
training. `utilization` is the FLOP/s of training as a fraction of a matrix product's in the same
process; it counts the operations of the papers' form (`sagan_plain`), whichever form runs. A
setting that fails gives a row with the reason, and the exit code is then 1.
"""

import itertools

from absl import flags

from benchmarks.measure.speed_row import summarize_speed
from benchmarks.measure.subprocesses import gather_provenance, measure_in_rounds, print_rows
from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.runs.provenance import PACKAGES

WITHOUT_SN = {"g_spectral_norm": False, "d_spectral_norm": False}
NO_ATTENTION = {"g_attention": "none", "d_attention": "none"}
# The fields of `Config` that make each model.
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

flags.DEFINE_list("models", ["sagan", "keras_naive", "dcgan"], f"Any of {', '.join(MODELS)}.")
flags.DEFINE_list("image_sizes", ["32"], "Heights of images, in pixels.")
flags.DEFINE_list("batch_sizes", ["8"], "Images per step.")
flags.DEFINE_list("precisions", ["float32"], "Any of float32, mixed_bfloat16.")
flags.DEFINE_list("jit", ["off"], "Whether XLA compiles the steps: any of auto, off, on.")
flags.DEFINE_integer("g_channels", 16, "Channels of the generator's last feature maps.")
flags.DEFINE_integer("d_channels", 16, "Channels of the discriminator's first feature maps.")
flags.DEFINE_integer("num_classes", 10, "Classes; 0: unconditional.", lower_bound=0)
flags.DEFINE_integer("steps", 20, "Timed training steps per round.", lower_bound=1)
flags.DEFINE_integer(
    "warmup_steps", 5, "Untimed steps between the first step and the timed ones.", lower_bound=0
)
flags.DEFINE_integer("steps_per_call", 1, "Steps in one call of the runtime.", lower_bound=1)
flags.DEFINE_integer(
    "rounds", 3, "Measurements of each setting; figures are medians over them.", lower_bound=1
)
flags.DEFINE_bool("breakdown", False, "Also time the parts of a step of our models.")
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one JSON object per row.")


def main():
    given = flags.FLAGS
    settings = settings_from_flags()
    requests = [
        {"name": " ".join(map(str, setting.values())), "request": make_request(setting)}
        for setting in settings
    ]
    answers = measure_in_rounds("benchmarks.measure.speed_worker", requests, given.rounds)
    names = ("g_channels", "d_channels", "num_classes", "steps", "warmup_steps", "steps_per_call")
    common = {name: getattr(given, name) for name in (*names, "rounds")}
    common |= gather_provenance(PACKAGES)
    rows = [
        {"benchmark": "speed"}
        | setting
        | summarize_speed(own, answers[0], given.steps_per_call)
        | common
        for setting, own in zip(settings, answers, strict=True)
    ]
    print_rows(rows, given.format, COLUMNS)


def settings_from_flags():
    """All combinations, each checked as a `Config`; an impossible one is a `UsageError`."""
    names = ("model", "image_size", "batch_size", "precision", "jit")
    values = flags.FLAGS
    for name in ("steps", "warmup_steps"):
        if getattr(values, name) % values.steps_per_call:
            raise UsageError(
                f"--{name} must be a multiple of --steps_per_call={values.steps_per_call}. "
                f"Received: {getattr(values, name)}"
            )
    image_sizes = commands.integers("image_sizes", 16, 512)
    batch_sizes = commands.integers("batch_sizes", 1, 2**31 - 1)
    lists = (values.models, image_sizes, batch_sizes, values.precisions, values.jit)
    settings = [dict(zip(names, each, strict=True)) for each in itertools.product(*lists)]
    if not settings:
        raise UsageError("expected at least one value in each list of flags")
    for setting in settings:
        make_config(setting)
    return settings


def make_config(setting):
    """The `Config` of a setting."""
    model = setting["model"]
    if model not in MODELS:
        raise UsageError(f"--models must be some of {', '.join(MODELS)}. Received: {model}")
    names = ("g_channels", "d_channels", "num_classes", "steps_per_call")
    shared = {name: getattr(flags.FLAGS, name) for name in names}
    own = {name: setting[name] for name in ("image_size", "batch_size", "precision")}
    fixed = {"dataset": "synthetic", "replicas": 1, "jit_compile": setting["jit"]}
    return Config(**shared, **own, **fixed, **MODELS[model])


def make_request(setting):
    """Arguments of `speed_worker.measure_speed`."""
    own = {"model": setting["model"], "config_json": make_config(setting).to_json()}
    counts = {name: getattr(flags.FLAGS, name) for name in ("steps", "warmup_steps")}
    return own | counts | {"parts": flags.FLAGS.breakdown}


if __name__ == "__main__":
    commands.run(main, __doc__)
