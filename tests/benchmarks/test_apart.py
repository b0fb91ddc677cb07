"""Turns are taken in order, and a process that fails says why."""

from benchmarks import apart


def test_turns_interleave_and_what_failed_is_not_asked_again(monkeypatch):
    asked = []

    def call(module, request, environment):
        asked.append((request, environment))
        return {"error": "no"} if request == "b" else {"value": len(asked)}

    monkeypatch.setattr(apart, "call", call)
    requests = [{"name": each, "request": each} for each in "abc"]
    requests[2]["environment"] = {"X": "1"}
    turns = apart.interleaved("module", requests, 2)
    assert [request for request, _ in asked] == ["a", "b", "c", "a", "c"]
    assert asked[2][1] == {"X": "1"}
    assert turns == [[{"value": 1}, {"value": 4}], [{"error": "no"}], [{"value": 3}, {"value": 5}]]


def test_a_process_that_ends_without_an_answer_is_an_error():
    answer = apart.call("benchmarks.no_such_module", {})
    assert answer["error"].startswith("exit code 1: ")
    assert "no_such_module" in answer["error"]
