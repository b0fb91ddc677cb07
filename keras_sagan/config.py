"""One experiment as one immutable value, filled from flags and flag files."""

import dataclasses
import json

from keras_sagan.errors import UsageError


def option(topic, default, text, choices=None, at_least=None, resumable=False):
    """A field of `Config`.

    Args:
        topic: heading under which `--help` shows it.
        default: value, whose type is the field's.
        text: the flag's help.
        choices: all values it may have, or None.
        at_least: smallest value it may have, or None.
        resumable: bool, whether a run may go on with another value. True for what does not change
            the numbers of a step.
    """
    metadata = {
        "topic": topic,
        "help": text,
        "choices": choices,
        "at_least": at_least,
        "resumable": resumable,
    }
    return dataclasses.field(default=default, metadata=metadata)


MODEL, DATA, OPTIMIZATION, EXECUTION, RECORDS = (
    "Model",
    "Data",
    "Optimization",
    "Execution",
    "Records",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """What a run depends on besides the code and the data.

    Raises:
        UsageError: if a value, or a combination of values, is impossible.
    """

    model: str = option(MODEL, "sagan", "Family of networks.", ("sagan", "dcgan"))
    image_size: int = option(MODEL, 128, "Height and width of the images, 16...512, a power of 2.")
    image_channels: int = option(MODEL, 3, "1 for grayscale, 3 for RGB.", (1, 3))
    z_dim: int = option(MODEL, 128, "Length of a latent vector.", at_least=1)
    num_classes: int = option(
        MODEL,
        -1,
        "Classes of images; 0: unconditional. -1: those of the data, 0 if these have only one.",
        at_least=-1,
    )
    g_channels: int = option(
        MODEL, 64, "Channels of the generator's last feature maps.", at_least=1
    )
    d_channels: int = option(
        MODEL, 64, "Channels of the discriminator's first feature maps.", at_least=1
    )
    g_attention: str = option(
        MODEL,
        "auto",
        "Resolutions with attention in the generator, as 32 or 32,64; or none. auto: half the "
        "image size, at most 64 (at 128 pixels the place of the paper's best inception score).",
    )
    d_attention: str = option(MODEL, "auto", "The same for the discriminator.")
    attention_block: str = option(
        MODEL,
        "attention",
        "What stands at those resolutions; residual: the paper's control of as many parameters.",
        ("attention", "residual"),
    )
    g_spectral_norm: bool = option(MODEL, True, "Spectral normalization in the generator.")
    d_spectral_norm: bool = option(MODEL, True, "Spectral normalization in the discriminator.")
    bn_momentum: float = option(
        MODEL, 0.999, "Decay of the moving statistics of batch normalization, in [0, 1]."
    )
    bn_momentum_last: float = option(
        MODEL, 0.9999, "The same for the generator's last, unconditional batch normalization."
    )
    sync_batch_norm: bool = option(
        MODEL, False, "Batch statistics over all replicas. Excludes XLA when there are several."
    )

    dataset: str = option(
        DATA,
        "digits",
        "folder:PATH: your images, one subfolder a class, or no subfolders. A name that TensorFlow "
        "Datasets knows, with config and version if you like: cifar10, oxford_flowers102:2.1.1. "
        "digits: 1,797 real handwritten digits. symmetry, symmetry:COUNT or symmetry:COUNT:SEED: "
        "textures of which one half determines the other (10,000, seed 0). synthetic: random "
        "images, for measuring speed.",
    )
    split: str = option(
        DATA,
        "train",
        "Split of a set of TensorFlow Datasets, as train or train+test, or of a folder that is "
        "laid out as PATH/SPLIT/CLASS/IMAGE.",
    )
    data_dir: str = option(DATA, "data", "Where prepared data are kept.", resumable=True)
    tfds_dir: str = option(
        DATA,
        "",
        "Where TensorFlow Datasets keeps its own files. Empty: its default, TFDS_DATA_DIR or "
        "~/tensorflow_datasets.",
        resumable=True,
    )
    max_bad_fraction: float = option(
        DATA,
        0.01,
        "Share of images that may be unreadable when a set is prepared, in [0, 1]. They are named "
        "and left out.",
        resumable=True,
    )
    flip: bool = option(DATA, False, "Mirror every real image left to right half of the time.")
    fake_labels: str = option(
        DATA,
        "uniform",
        "Classes that fakes are made of in training: uniform, or as frequent as in the data.",
        ("uniform", "data"),
    )

    loss: str = option(OPTIMIZATION, "hinge", "Adversarial loss.", ("hinge", "non_saturating"))
    batch_size: int = option(OPTIMIZATION, 256, "Images a step, over all replicas.", at_least=1)
    d_steps: int = option(OPTIMIZATION, 1, "Discriminator updates a step.", at_least=1)
    reuse_fakes: bool = option(
        OPTIMIZATION,
        False,
        "The generator learns from the fakes that the discriminator has just learned from, which "
        "saves a pass. Otherwise from new ones.",
    )
    g_lr: float = option(OPTIMIZATION, 1e-4, "Learning rate of the generator (Adam).")
    d_lr: float = option(OPTIMIZATION, 4e-4, "Learning rate of the discriminator (Adam).")
    beta_1: float = option(OPTIMIZATION, 0.0, "Adam's decay of the first moment, in [0, 1).")
    beta_2: float = option(OPTIMIZATION, 0.999, "Adam's decay of the second moment, in [0, 1).")
    ema_decay: float = option(
        OPTIMIZATION, 0.9999, "Decay of the moving average of the generator, in [0, 1]."
    )
    ema_start: int = option(
        OPTIMIZATION, 2000, "Step from which it averages; before, it copies.", at_least=0
    )
    total_steps: int = option(
        OPTIMIZATION, 1_000_000, "Generator updates.", at_least=1, resumable=True
    )
    total_minutes: float = option(
        OPTIMIZATION,
        0.0,
        "Minutes of training after which a run ends before total_steps. Compiling the first step "
        "counts; what it does between steps (scores, samples, checkpoints) does not. 0: no limit.",
        at_least=0,
        resumable=True,
    )
    seed: int = option(OPTIMIZATION, 0, "Seed of weights, data order and latents.", at_least=0)

    precision: str = option(
        EXECUTION, "float32", "Keras dtype policy.", ("float32", "mixed_bfloat16")
    )
    fast: bool = option(
        EXECUTION,
        True,
        "Convolutions fused with changes of resolution, batch normalization without classes in one "
        "operation, large attention in blocks. false: every operation as it is written in the "
        "papers. Equal but for rounding.",
    )
    jit_compile: str = option(
        EXECUTION,
        "auto",
        "XLA for each replica's steps. auto: on GPUs; on CPUs if it is faster, which a run of 1000 "
        "steps or more without total_minutes measures as it begins, unless data_dir/compilation "
        "has its setting.",
        ("auto", "on", "off"),
    )
    strategy: str = option(
        EXECUTION,
        "mirrored",
        "Where replicas are. mirrored: in this process; multi_worker: in many, on hosts that "
        "TF_CONFIG or Slurm's srun names. A run may go on with the other.",
        ("mirrored", "multi_worker"),
        resumable=True,
    )
    join_seconds: int = option(
        EXECUTION,
        600,
        "Seconds in which the processes of multi_worker must have found each other.",
        at_least=1,
        resumable=True,
    )
    replicas: int = option(
        EXECUTION,
        0,
        "Devices to train on, in each process; 0: every GPU, or the CPU. More than one on a "
        "machine without GPUs divides its CPU, which multi_worker cannot.",
        at_least=0,
        resumable=True,
    )
    steps_per_call: int = option(
        EXECUTION, 10, "Most steps in one call of the runtime.", at_least=1, resumable=True
    )

    on_nan: str = option(
        EXECUTION,
        "stop",
        "What a run does whose losses, gradients or weights are not finite: stop; or rollback: go "
        "back to the newest checkpoint and on with other noise, at most three times.",
        ("stop", "rollback"),
        resumable=True,
    )

    log_every: int = option(
        RECORDS, 100, "Steps between two records of the losses.", at_least=1, resumable=True
    )
    sample_every: int = option(
        RECORDS, 1000, "Steps between two sample grids.", at_least=1, resumable=True
    )
    checkpoint_every: int = option(
        RECORDS, 1000, "Steps between two checkpoints.", at_least=1, resumable=True
    )
    eval_every: int = option(
        RECORDS,
        0,
        "Steps between two scores fcd1k, by a classifier of the data, which then choose the best "
        "checkpoint. 0: thumbnails choose, at each checkpoint.",
        at_least=0,
        resumable=True,
    )
    keep_checkpoints: int = option(
        RECORDS,
        3,
        "Newest checkpoints that are kept, besides the best.",
        at_least=1,
        resumable=True,
    )

    profile_steps: str = option(
        RECORDS,
        "",
        "Two numbers of steps, as 20,25: writes a profile of the steps between for TensorBoard "
        "(with its plugin tensorboard-plugin-profile). Empty: none.",
        resumable=True,
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
        if self.image_size not in (16, 32, 64, 128, 256, 512):
            raise UsageError(
                f"image_size must be a power of 2 from 16 to 512. Received: {self.image_size}"
            )
        for name in ("bn_momentum", "bn_momentum_last", "ema_decay", "max_bad_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be in [0, 1]. Received: {getattr(self, name)}")
        for name in ("beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be in [0, 1). Received: {getattr(self, name)}")
        if self.profile_steps:
            parts = self.profile_steps.split(",")
            if (
                not all(map(str.isdecimal, parts))
                or len(parts) != 2
                or int(parts[0]) >= int(parts[1])
            ):
                raise UsageError(
                    "profile_steps must be empty or two numbers, the smaller one first, as 20,25. "
                    f"Received: {self.profile_steps}"
                )
        if not self.total_minutes < float("inf"):
            raise UsageError(f"total_minutes must be finite. Received: {self.total_minutes}")
        for name in ("g_lr", "d_lr"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{name} must be positive. Received: {getattr(self, name)}")
        additions = (
            self.g_attention_resolutions,
            self.d_attention_resolutions,
            self.g_spectral_norm,
            self.d_spectral_norm,
        )
        if self.model == "dcgan" and any(additions):
            raise UsageError(
                "model=dcgan has neither attention nor spectral normalization: it needs "
                "g_attention=none, d_attention=none, g_spectral_norm=false and "
                "d_spectral_norm=false, as configs/dcgan.flags sets. Received: "
                f"g_attention={self.g_attention}, d_attention={self.d_attention}, "
                f"g_spectral_norm={self.g_spectral_norm}, d_spectral_norm={self.d_spectral_norm}"
            )

    @property
    def g_attention_resolutions(self):
        """Where the generator attends: a tuple of heights in pixels."""
        return self.attention_resolutions("g_attention", 8, self.image_size)

    @property
    def d_attention_resolutions(self):
        """Where the discriminator attends: a tuple of heights in pixels."""
        # Small discriminators halve the resolution twice only: see networks/sagan.py.
        lowest = 4 if self.image_size > 32 else self.image_size // 4
        return self.attention_resolutions("d_attention", lowest, self.image_size // 2)

    def attention_resolutions(self, name, lowest, highest):
        """Field `name` as a tuple, checked against feature maps of `lowest` to `highest`."""
        text = getattr(self, name)
        if text in ("none", ""):
            return ()
        if text == "auto":
            return (min(self.image_size // 2, 64),)
        occurring = [lowest << i for i in range((highest // lowest).bit_length())]
        parts = [part.strip() for part in text.split(",")]
        if not all(part.isdecimal() and int(part) in occurring for part in parts):
            raise UsageError(
                f"{name} must be auto, none, or some of "
                f"{','.join(map(str, occurring))}, the resolutions of this network's feature maps "
                f"at image_size={self.image_size}. Received: {text}"
            )
        return tuple(sorted({int(part) for part in parts}))

    @property
    def profile_range(self):
        """Steps between which training is profiled: two ints, or None."""
        return tuple(map(int, self.profile_steps.split(","))) if self.profile_steps else None

    @property
    def is_symmetry(self):
        """Whether images have halves that their class relates, so that `coherence` judges them."""
        return self.dataset.partition(":")[0] == "symmetry" and self.num_classes != 0

    def to_json(self):
        """All fields as indented JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text):
        """The inverse of `to_json`.

        Raises:
            UsageError: if the text is not an object of exactly the fields of this version.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"expected the JSON object of a Config. Received: {error}") from error
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            others = sorted(names ^ set(values)) if isinstance(values, dict) else values
            raise UsageError(
                f"expected the fields of this version's Config. Missing or unknown: {others}"
            )
        return cls(**values)


def check_value(field, value):
    """Type, choices and lower bound of one field."""
    choices, at_least = field.metadata["choices"], field.metadata["at_least"]
    number = field.type is float and isinstance(value, int) and not isinstance(value, bool)
    if not (type(value) is field.type or number):
        raise UsageError(f"{field.name} must be {field.type.__name__}. Received: {value!r}")
    if choices and value not in choices:
        listed = ", ".join(map(str, choices))
        raise UsageError(f"{field.name} must be one of {listed}. Received: {value}")
    if at_least is not None and value < at_least:
        raise UsageError(f"{field.name} must be at least {at_least}. Received: {value}")
    if field.type is int and value >= 2**31:
        raise UsageError(f"{field.name} must be less than 2^31. Received: {value}")
