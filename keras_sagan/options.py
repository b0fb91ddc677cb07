"""The fields of `Config` by topic: each with its default, rule, help and history, once."""

import dataclasses

from keras_sagan.optimization import OptimizationOptions
from keras_sagan.preprocessing import PreprocessingOptions
from keras_sagan.regularization import RegularizationOptions
from keras_sagan.rules import (
    DECAY,
    IMAGE_SIZE,
    SHARE,
    at_least,
    one_of,
    option,
)


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """The two networks."""

    model: str = option("sagan", "Family of networks.", one_of("sagan", "dcgan"))
    image_size: int = option(
        128, "Height and width of the images, a power of 2 from 16 to 512.", IMAGE_SIZE
    )
    image_channels: int = option(3, "1 for grayscale, 3 for RGB.", one_of(1, 3))
    z_dim: int = option(128, "Length of a latent vector.", at_least(1))
    num_classes: int = option(
        -1,
        "Number of classes. 0: unconditional. -1: the data's own number, or 0 if that is 1.",
        at_least(-1),
    )
    g_channels: int = option(64, "Channels of the generator's last feature maps.", at_least(1))
    d_channels: int = option(64, "Channels of the discriminator's first feature maps.", at_least(1))
    g_attention: str = option(
        "auto",
        "Resolutions with attention in the generator, e.g. 32 or 32,64; or none. auto: half the "
        "image size, at most 64 (at 128 pixels this gave the paper's best Inception score).",
    )
    d_attention: str = option("auto", "The same for the discriminator.")
    attention_block: str = option(
        "attention",
        "Block at these resolutions. residual: the paper's control, with as many parameters.",
        one_of("attention", "residual"),
    )
    g_spectral_norm: bool = option(True, "Spectral normalization in the generator.")
    d_spectral_norm: bool = option(True, "Spectral normalization in the discriminator.")
    bn_momentum: float = option(
        0.999, "Decay of the moving statistics of batch normalization, in [0, 1].", SHARE
    )
    bn_momentum_last: float = option(
        0.9999, "The same for the generator's last, unconditional batch normalization.", SHARE
    )
    sync_batch_norm: bool = option(
        False, "Batch statistics over all replicas. With several replicas, XLA is unavailable."
    )


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The real images, and the labels of fakes."""

    dataset: str = option(
        "digits",
        "folder:PATH: your images, one subfolder per class, or no subfolders. zip:PATH: the same "
        "in a ZIP archive. npz:PATH: an NPZ file with images, and optionally labels and "
        "class_names. idx:PATH: a folder of IDX files, e.g. MNIST. A name known to TensorFlow "
        "Datasets, optionally with config and version: cifar10, oxford_flowers102:2.1.1. digits: "
        "1,797 real handwritten digits. symmetry, symmetry:COUNT or symmetry:COUNT:SEED: textures "
        "in which one half determines the other (10,000, seed 0). synthetic: random images, for "
        "measuring speed.",
    )
    split: str = option(
        "train",
        "Split, e.g. train or train+test, of a TensorFlow Datasets set, of IDX files, or of a "
        "folder or ZIP archive laid out as SPLIT/CLASS/IMAGE or SPLIT/IMAGE.",
        before="train",
    )
    data_dir: str = option("data", "Folder of the prepared data.", resumable=True)
    tfds_dir: str = option(
        "",
        "Where TensorFlow Datasets keeps its own files. Empty: its default, TFDS_DATA_DIR or "
        "~/tensorflow_datasets.",
        resumable=True,
        before="",
    )
    max_bad_fraction: float = option(
        0.01,
        "Largest fraction of images that may be unreadable when a set is prepared, in [0, 1]. "
        "These images are listed and left out.",
        SHARE,
        resumable=True,
        before=0.01,
    )
    flip: bool = option(
        False, "Mirror each real image left to right with probability 1/2.", before=False
    )
    holdout: float = option(
        0.0,
        "Share of the real images, in [0, 1), that training leaves out, to show whether the "
        "discriminator knows the others better.",
        DECAY,
        before=0.0,
    )
    fake_labels: str = option(
        "uniform",
        "Classes of fakes during training: uniform, or as frequent as in the data.",
        one_of("uniform", "data"),
        before="uniform",
    )


@dataclasses.dataclass(frozen=True)
class FineTuningOptions:
    """What a new run takes over from an earlier one."""

    init_from: str = option(
        "",
        "What a new run starts with: the folder of another run, for the weights of its best "
        "checkpoint (of its newest, if none is best), or preset:NAME. The sizes of the networks "
        "must be equal. Optimizers start fresh, and so does what belongs to single classes if the "
        "numbers of classes differ. A run that resumes does not need its source. Empty: random "
        "weights.",
        before="",
    )
    freeze_d: int = option(
        0,
        "Blocks of the discriminator, from the image on, that stay as init_from has them: FreezeD, "
        "https://arxiv.org/abs/2002.10964. Attention that follows such a block stays, too.",
        at_least(0),
        before=0,
    )


@dataclasses.dataclass(frozen=True)
class ExecutionOptions:
    """Where and how steps are computed."""

    precision: str = option("float32", "Keras dtype policy.", one_of("float32", "mixed_bfloat16"))
    fast: bool = option(
        True,
        "Fuse convolutions with resampling, compute unconditional batch normalization in one "
        "operation, and compute large attention in blocks. false: every operation as written in "
        "the papers. The results differ only by rounding.",
        before=False,
    )
    jit_compile: str = option(
        "auto",
        "Compile each replica's steps with XLA. auto: on for GPUs; on CPUs, if it is faster. A run "
        "of at least 1000 steps without total_minutes measures that when it starts, unless "
        "data_dir/compilation already has the result.",
        one_of("auto", "on", "off"),
    )
    deterministic: bool = option(
        False,
        "Only operations whose results are the same each time, on GPUs too. Slower there; on CPUs "
        "it changes nothing.",
        before=False,
    )
    strategy: str = option(
        "mirrored",
        "Where replicas run. mirrored: in this process. multi_worker: in many processes, on hosts "
        "named by TF_CONFIG or Slurm's srun. A run may resume with either.",
        one_of("mirrored", "multi_worker"),
        resumable=True,
        before="mirrored",
    )
    join_seconds: int = option(
        600,
        "Seconds within which the processes of multi_worker must find each other.",
        at_least(1),
        resumable=True,
        before=600,
    )
    replicas: int = option(
        0,
        "Devices to train on in each process. 0: every GPU, or the CPU. Without GPUs, a larger "
        "number divides the CPU into several devices, which multi_worker does not support.",
        at_least(0),
        resumable=True,
    )
    steps_per_call: int = option(
        10, "Maximum number of steps per call of the runtime.", at_least(1), resumable=True
    )
    on_nan: str = option(
        "stop",
        "What a run does when its losses, gradients or weights are non-finite. stop: it fails. "
        "rollback: it resumes from the newest checkpoint with other noise, at most three times.",
        one_of("stop", "rollback"),
        resumable=True,
        before="stop",
    )


@dataclasses.dataclass(frozen=True)
class RecordOptions:
    """What a run writes, and how often."""

    log_every: int = option(100, "Steps between records of losses.", at_least(1), resumable=True)
    sample_every: int = option(1000, "Steps between two sample grids.", at_least(1), resumable=True)
    checkpoint_every: int = option(1000, "Steps between checkpoints.", at_least(1), resumable=True)
    eval_every: int = option(
        0,
        "Steps between two fd1k scores, computed with a classifier of the data or, if they have no "
        "classes, a network that tells rotations, that choose the best checkpoint. 0: a score of "
        "thumbnails chooses it at each checkpoint.",
        at_least(0),
        resumable=True,
        before=0,
    )
    keep_checkpoints: int = option(
        3, "Number of newest checkpoints to keep, besides the best.", at_least(1), resumable=True
    )
    profile_steps: str = option(
        "",
        "Two step numbers, e.g. 20,25: write a profile of the steps between them for TensorBoard "
        "(with its plugin tensorboard-plugin-profile). Empty: no profile.",
        resumable=True,
        before="",
    )


# By the heading under which `--help` shows them.
TOPICS = {"Model": ModelOptions, "Data": DataOptions, "Preprocessing": PreprocessingOptions}
TOPICS |= {"Fine-tuning": FineTuningOptions, "Optimization": OptimizationOptions}
TOPICS |= {"Regularization": RegularizationOptions}
TOPICS |= {"Execution": ExecutionOptions, "Records": RecordOptions}
