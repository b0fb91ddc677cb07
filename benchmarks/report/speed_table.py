"""The rows of the benchmarks besides suites as one table."""

import pandas as pd

# What names a setting, what splits rows into tables, and what else was set.
SETTINGS = {
    "speed": ["model", "batch_size", "jit"],
    "layers": ["layer"],
    "serving": ["signature", "batch_size"],
    "scaling": ["setting"],
    "scaling_expected": ["gpus", "images_per_gpu"],
}
TABLES = {
    "speed": ["image_size", "precision"],
    "layers": ["part", "image_size", "channels", "batch_size"],
    "serving": ["model", "version"],
    "scaling": ["image_size", "batch_size"],
    "scaling_expected": ["rule"],
}
SHARED = {
    "speed": ["g_channels", "d_channels", "num_classes", "steps", "warmup_steps", "steps_per_call"],
    "layers": ["steps"],
    "serving": ["image_shape", "calls", "warmup_calls"],
    "scaling": ["channels", "num_classes", "jit", "cores", "steps", "warmup_steps"],
    "scaling_expected": [
        *("peak_tflops", "share", "gpus_per_host", "link_gb_per_s", "network_gb_per_s"),
        *("latency_us", "gradient_mib", "exchanges"),
    ],
}
EVERYWHERE = ["rounds", "device", "cpus", "machine", "commit"]
# Figures of a row, with their headings.
FIGURES = {
    "speed": {
        "train_images_per_s": "images/s",
        "sample_images_per_s": "sampled images/s",
        "step_ms_p50": "step, ms",
        "step_ms_p95": "step, 95th percentile, ms",
        "compile_s": "compile time, s",
        "host_peak_mib": "host memory in training, MiB",
        "device_peak_mib": "device memory in training, MiB",
        "utilization": "utilization",
        "g_macs": "G MACs, millions",
        "d_macs": "D MACs, millions",
    },
    "layers": {
        "ms_p50": "pass, ms",
        "ms_p95": "pass, 95th percentile, ms",
        "gradient_distance": "gradient distance",
        "gradient_cosine": "gradient cosine",
        "kernel_change": "kernel change",
        "output_distance": "output distance",
        "extra_mib": "memory of a pass, MiB",
        "host_peak_mib": "host memory, MiB",
        "device_peak_mib": "device memory, MiB",
    },
    "serving": {
        "images_per_s": "images/s",
        "ms_p50": "call, ms",
        "ms_p95": "call, 95th percentile, ms",
        "ms_p99": "call, 99th percentile, ms",
        "load_s": "load time, s",
        "host_peak_mib": "host memory, MiB",
        "device_peak_mib": "device memory, MiB",
    },
    "scaling": {
        "images_per_s": "images/s",
        "efficiency": "efficiency",
        "step_ms_p50": "step, ms",
        "step_ms_p95": "step, 95th percentile, ms",
        "gradient_mib": "gradients, MiB a step",
        "exchanged_mib": "all-reduced, MiB a step",
        "exchanges": "all-reduces a step",
    },
    "scaling_expected": {
        "images_per_s": "images/s",
        "efficiency": "efficiency, nothing hidden",
        "efficiency_most": "efficiency, as much hidden as fits",
        "compute_ms": "compute, ms",
        "exchange_ms": "exchange, ms",
    },
}
RATIOS = ["ratio", "ratio_least", "ratio_most"]


def flat(rows):
    """A DataFrame of `rows`, nested values as columns of their own: `versions.keras`.

    `ratio_least` and `ratio_most` are the spread of `ratio`. `compared_with` is the setting that it
    is to: the nearest one before, itself included, whose ratio is 1 in every round.
    """
    table = pd.json_normalize([row | spread(row) for row in rows])
    wanted = ["benchmark", "status", "error"]
    numbers = [*RATIOS]
    for benchmark in table["benchmark"].unique():
        wanted += [*TABLES[benchmark], *SETTINGS[benchmark], *SHARED[benchmark]]
        numbers += FIGURES[benchmark]
    wanted = list(dict.fromkeys([*wanted, *EVERYWHERE, *numbers]))
    table = table.reindex(columns=[*wanted, *(name for name in table if name not in wanted)])
    for name in numbers:
        table[name] = pd.to_numeric(table[name])
    table["compared_with"] = compared_with(table)
    return table.drop(columns="ratio_least_and_most", errors="ignore")


def spread(row):
    least, most = row.get("ratio_least_and_most") or (None, None)
    return {"ratio_least": least, "ratio_most": most}


def compared_with(table):
    """A name for each row, as of `flat`; None where there is no ratio."""
    names, nearest = [], None
    for _, row in table.iterrows():
        if (row[RATIOS] == 1).all():
            nearest = " ".join(map(plain, row[name_columns(row["benchmark"])]))
        names.append(nearest if pd.notna(row["ratio"]) else None)
    return names


def name_columns(benchmark):
    if benchmark != "speed":
        return SETTINGS[benchmark]
    model, *others = SETTINGS["speed"]
    return [model, *TABLES["speed"], *others]


def plain(value):
    """A setting as text; whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if pd.isna(value) else str(value)


def summary(table):
    """The table without versions and figures by round."""
    names = [name for name in table if "versions." not in name and "_by_round" not in name]
    return table[names]


def sigma_columns(table):
    """Columns of the errors of sigma, by step, in order."""
    names = [name for name in table if name.startswith("sigma_errors.")]
    return sorted(names, key=lambda name: int(name.split(".")[1]))
