"""The rows of speed, layers, serving and scaling as one table."""

import pandas as pd

# The columns that name a setting, those that split rows into tables, and the other settings.
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
# Figures of a row and their headings.
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
        "gradient_mib": "gradients, MiB per step",
        "exchanged_mib": "all-reduced, MiB per step",
        "exchanges": "all-reduces per step",
    },
    "scaling_expected": {
        "images_per_s": "images/s",
        "efficiency": "efficiency without overlap",
        "efficiency_most": "efficiency with as much overlap as fits",
        "compute_ms": "compute, ms",
        "exchange_ms": "exchange, ms",
    },
}
RATIOS = ["ratio", "ratio_least", "ratio_most"]


def flatten_rows(rows):
    """A DataFrame of `rows`; nested values become columns, e.g. `versions.keras`.

    `ratio_least` and `ratio_most` are the range of `ratio`. `compared_with` is the reference of the
    ratio: the row itself or the nearest row above whose ratio is 1 in every round.
    """
    table = pd.json_normalize([row | ratio_range(row) for row in rows])
    wanted = ["benchmark", "status", "error"]
    numbers = [*RATIOS]
    for benchmark in table["benchmark"].unique():
        wanted += [*TABLES[benchmark], *SETTINGS[benchmark], *SHARED[benchmark]]
        numbers += FIGURES[benchmark]
    wanted = list(dict.fromkeys([*wanted, *EVERYWHERE, *numbers]))
    table = table.reindex(columns=[*wanted, *(name for name in table if name not in wanted)])
    for name in numbers:
        table[name] = pd.to_numeric(table[name])
    table["compared_with"] = name_references(table)
    return table.drop(columns="ratio_least_and_most", errors="ignore")


def ratio_range(row):
    least, most = row.get("ratio_least_and_most") or (None, None)
    return {"ratio_least": least, "ratio_most": most}


def name_references(table):
    """The name of each row's reference; None for rows without a ratio."""
    model, *others = SETTINGS["speed"]
    columns = SETTINGS | {"speed": [model, *TABLES["speed"], *others]}
    names, nearest = [], None
    for _, row in table.iterrows():
        if (row[RATIOS] == 1).all():
            nearest = " ".join(map(format_setting, row[columns[row["benchmark"]]]))
        names.append(nearest if pd.notna(row["ratio"]) else None)
    return names


def format_setting(value):
    """A setting as text; whole numbers without a decimal point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if pd.isna(value) else str(value)


def select_summary(table):
    """The table without versions and without figures by round."""
    names = [name for name in table if "versions." not in name and "_by_round" not in name]
    return table[names]


def sigma_columns(table):
    """Columns of the errors of sigma, ordered by step."""
    names = [name for name in table if name.startswith("sigma_errors.")]
    return sorted(names, key=lambda name: int(name.split(".")[1]))
