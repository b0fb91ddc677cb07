"""Commands quoted in cards, pages and reports: a shell reads them as intended."""

import dataclasses
import html
import re
import shutil
import subprocess

import pytest
import smallest
from absl import flags
from process import run

from benchmarks.comparison.runner import command_lines
from benchmarks.comparison.suite import Row, Suite
from keras_sagan import networks
from keras_sagan.commands import config_from_flags, define_config_flags
from keras_sagan.config import Config
from keras_sagan.flag_files import expand_flag_files
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.serving.card import model_card

NAMES = ["my photos", "$HOME ${x}", "it's", 'a"b', "a;b&&c|d>e", "#1 (2)", "*?[a]{b,c}", "`id`"]
NAMES += ["a\\b", "-n", "!x", "a\tb", "a\nb", "ü 猫"]
FIELDS = smallest.NETWORKS | smallest.DCGAN | {"num_classes": 2, "flip": True, "total_steps": 7}


def read_as_shell(command):
    """The arguments that a shell passes to Python when `command` is pasted."""
    script = f"python() {{ printf '%s\\0' \"$@\"; }}\n{command}\n"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return result.stdout.split("\0")[:-1]


def parse(arguments):
    """The `Config` of the arguments of `train`."""
    values = flags.FlagValues()
    define_config_flags(values)
    assert values(["train", *expand_flag_files(arguments)]) == ["train"]
    return config_from_flags(values)


@pytest.fixture(scope="module")
def generator():
    return networks.generator(Config(**FIELDS))


@pytest.mark.parametrize("name", NAMES)
def test_the_model_card_repeats_the_run(name, generator, tmp_path):
    config = Config(**FIELDS, dataset=f"folder:{tmp_path / name}")
    facts = {"model": "sagan", "version": 1, "step": 7, "ema": True, "class_names": None}
    card = model_card(RunDirectory(tmp_path), config, generator, facts)
    module, *arguments = read_as_shell(card[card.index("    python -m keras_sagan.train") :])[1:]
    assert (module, arguments[0]) == ("keras_sagan.train", "--run_dir=RUN_DIR")
    found = parse(arguments[1:])
    assert found == Config(**FIELDS, dataset=f"folder:{name}")


@pytest.mark.slow
def test_the_page_of_attention_is_made_again(finished, tmp_path):
    run_dir = shutil.copytree(finished[0], tmp_path / "it's $my run [1]")
    given = [f"--run_dir={run_dir}", f"--output={tmp_path}/a `page`.html", "--labels=7"]
    code, _, err = run("explore", *given, "--seeds=0")
    assert code == 0, err
    page = html.unescape((tmp_path / "a `page`.html").read_text())
    command = re.search(r"Made by: (python -m .*?)</li>", page, re.DOTALL).group(1)
    assert read_as_shell(command) == ["-m", "keras_sagan.explore", *given, "--seeds=0"]


@pytest.mark.parametrize("name", NAMES)
def test_the_report_of_a_comparison_repeats_its_runs(name, tmp_path):
    fields = dict.fromkeys([field.name for field in dataclasses.fields(Suite)])
    fields |= {"common": [], "steps": 5, "score_every": 5, "num_samples": 4, "extractor": name}
    fields |= {"dataset": f"folder:{name}", "data_dir": name, "runs_dir": str(tmp_path / name)}
    run = Suite(**fields).make_run(Row.parse("residual"), 0)
    for line, command in zip(command_lines(run), run.commands(), strict=True):
        assert read_as_shell(line) == command[1:]
