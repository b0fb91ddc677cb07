"""Commands on a run whose newest checkpoint is damaged: they use the one before and say so."""

import shutil

import pytest
from process import assert_one_line, is_notice, run


@pytest.fixture
def damaged(finished, tmp_path):
    """A copy of the run with checkpoints of steps 10 and 20, of which the second is cut off."""
    run_dir = shutil.copytree(finished[0], tmp_path / "run")
    (path,) = (run_dir / "checkpoints").glob("step-20.data*")
    path.write_bytes(path.read_bytes()[:-1])
    return run_dir


COMMANDS = {
    "sample": ("--output=OUT/grid.png", "images of step 10, one row for each label of "),
    "explore": ("--output=OUT/attention.html", "images of step 10: "),
    "export": ("--export_dir=OUT/exports", "averaged weights of step 10: "),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_newest_falls_back_to_the_one_before(command, damaged, tmp_path):
    output, expected = COMMANDS[command]
    given = f"--run_dir={damaged}", output.replace("OUT", str(tmp_path / "out"))
    code, out, err = run(command, *given)
    assert code == 0, err
    assert expected in out
    (line,) = [line for line in err.splitlines() if not is_notice(line)]
    folder = damaged / "checkpoints"
    assert line == (
        f"warning: checkpoint {folder / 'step-20'} cannot be read: "
        f"step-20.data-00000-of-00001 has changed; using {folder / 'step-10'}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_step_must_be_readable(command, damaged, tmp_path):
    output = COMMANDS[command][0].replace("OUT", str(tmp_path / "out"))
    result = run(command, f"--run_dir={damaged}", output, "--checkpoint=20")
    assert_one_line(result, 1, "step-20 cannot be read: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_page_of_all_leaves_it_out(damaged, tmp_path):
    output = f"--output={tmp_path / 'attention.html'}"
    code, out, err = run("explore", f"--run_dir={damaged}", output, "--checkpoint=all")
    assert code == 1
    assert "images of step 10: " in out
    assert "Traceback" not in err
    assert [line.rpartition("; ")[2] for line in err.splitlines() if "step-20" in line] == [
        "leaving it out"
    ]
