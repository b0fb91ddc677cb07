"""Rounds alternate between settings, and a worker that fails says why."""

import sys
import types

import pytest

from benchmarks.measure import subprocesses


def test_rounds_alternate_and_failed_requests_are_not_repeated(monkeypatch):
    asked = []

    def run_worker(module, request, environment):
        asked.append((request, environment))
        return {"error": "no"} if request == "b" else {"value": len(asked)}

    monkeypatch.setattr(subprocesses, "run_worker", run_worker)
    requests = [{"name": each, "request": each} for each in "abc"]
    requests[2]["environment"] = {"X": "1"}
    answers = subprocesses.measure_in_rounds("module", requests, 2)
    assert [request for request, _ in asked] == ["a", "b", "c", "a", "c"]
    assert asked[2][1] == {"X": "1"}
    assert answers == [
        [{"value": 1}, {"value": 4}],
        [{"error": "no"}],
        [{"value": 3}, {"value": 5}],
    ]


def test_a_process_that_ends_without_an_answer_is_an_error():
    answer = subprocesses.run_worker("benchmarks.no_such_module", {})
    assert answer["error"].startswith("exit code 1: ")
    assert "no_such_module" in answer["error"]


@pytest.mark.parametrize(
    ("main", "program"),
    [
        (types.SimpleNamespace(__spec__=types.SimpleNamespace(name="benchmarks.speed")), "-m b"),
        (types.SimpleNamespace(__spec__=None), "script.py"),  # A script, or standard input.
        (types.SimpleNamespace(), "script.py"),
    ],
)
def test_command_line_names_the_program(main, program, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(sys, "argv", ["script.py", "--a=1", "--json"])
    line = subprocesses.command_line(leave_out=["--json"])
    assert line.startswith(f"python {program}")
    assert line.endswith(" --a=1")
