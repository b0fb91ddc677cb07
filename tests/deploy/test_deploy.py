"""The files of `deploy/`: no cluster here runs them, so what can be checked is."""

import pathlib
import re
import subprocess

import pytest
import yaml
from absl import flags

from keras_sagan import commands
from keras_sagan.devices.join import find_place

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("name", ["slurm.sh", "kubernetes.yaml"])
def test_flags_are_those_of_train(name):
    values = flags.FlagValues()
    commands.define_config_flags(values)
    flags.DEFINE_string("run_dir", None, "", flag_values=values)
    lines = (
        (DEPLOY / name)
        .read_text()
        .replace("=/app/", f"={ROOT}/")
        .replace("$run_dir", "runs/imagenet")
        .splitlines()
    )
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    # Slurm's own have other signs in their names.
    assert values(["train", *re.findall(r"(?<=\s)--[a-z_]+=\S+", text)]) == ["train"]
    config = commands.config_from_flags(values)
    assert config.strategy == "multi_worker"
    assert config.image_size == 128
    assert values.run_dir == "runs/imagenet"


@pytest.fixture
def pod():
    manifest = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())
    assert manifest["kind"] == "JobSet"
    (workers,) = manifest["spec"]["replicatedJobs"]
    job = workers["template"]["spec"]
    assert job["completions"] == job["parallelism"] == 4
    names = [f"{manifest['metadata']['name']}-{workers['name']}-0-{i}" for i in range(4)]
    return job["template"]["spec"], [f"{name}.{manifest['metadata']['name']}" for name in names]


def test_manifest_names_its_own_pods(monkeypatch, pod):
    spec, hosts = pod
    (container,) = spec["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    monkeypatch.setenv("TF_CONFIG", variables["TF_CONFIG"].replace("$(INDEX)", "3"))
    cluster, job, task = find_place()
    assert cluster.as_dict() == {"worker": [f"{host}:2222" for host in hosts]}
    assert (job, task) == ("worker", 3)


def test_manifest_starts_all_again_and_not_after_a_wrong_request(pod):
    spec, _ = pod
    assert spec["restartPolicy"] == "Never"
    policy = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())["spec"]["failurePolicy"]
    assert policy["maxRestarts"] > 0
    assert policy["rules"][0]["onJobFailureReasons"] == ["PodFailurePolicy"]


@pytest.mark.parametrize(
    ("codes", "stopped", "expected", "starts", "requeued"),
    [("0", False, 0, 1, 0), ("0", True, 0, 1, 1), ("1 1 0", False, 0, 3, 0), ("2", False, 2, 1, 0)],
)
def test_slurm_script_starts_again_what_may_go_on(
    tmp_path, codes, stopped, expected, starts, requeued
):
    """With stand-ins for Slurm's programs, of which `srun` ends with `codes` in turn."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "codes").write_text(codes.replace(" ", "\n") + "\n")
    stop = "mkdir -p runs/imagenet; touch runs/imagenet/stop.json; " if stopped else ""
    for name, text in {
        "srun": f"{stop}echo started; code=$(head -1 codes); sed -i 1d codes; exit $code",
        "scontrol": 'echo "$@"',
        "sleep": "true",
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    result = subprocess.run(
        ["bash", DEPLOY / "slurm.sh"],
        cwd=tmp_path,
        env={"PATH": f"{programs}:/usr/bin:/bin", "SLURM_JOB_ID": "7"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == expected, result.stderr
    assert result.stdout.splitlines() == ["started"] * starts + ["requeue 7"] * requeued


def test_image_is_made_of_files_that_exist():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    assert all((ROOT / path).exists() for paths in copied for path in paths)
    assert 'ENTRYPOINT ["python", "-m", "keras_sagan.train"]' in lines
