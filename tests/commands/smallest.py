"""The smallest networks and runs, as fields of `Config` and as flags."""

NETWORKS = {"image_size": 16, "image_channels": 1, "z_dim": 4, "g_channels": 2, "d_channels": 2}
# Seconds a step at most, on one core. A long run would measure what XLA does.
RUN = NETWORKS | {"batch_size": 4, "ema_start": 3, "jit_compile": "off"}
# Networks that TensorFlow traces in a fraction of the time, where it does not matter which.
DCGAN = {
    "model": "dcgan",
    "g_attention": "none",
    "d_attention": "none",
    "g_spectral_norm": False,
    "d_spectral_norm": False,
}


def as_flags(fields):
    return tuple(f"--{name}={value}" for name, value in fields.items())
