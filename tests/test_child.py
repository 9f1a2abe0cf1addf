"""Measurements in a process of their own: one at a time, and another after it however it ended."""

import sys

import pytest

from explorer import child

PROGRAM = """
import json, os, sys
order = json.loads(sys.argv[1])
print(json.dumps({"number": 1}), flush=True)
print(order["say"], flush=True)
if order["fail"]:
    raise RuntimeError(order["fail"])
os._exit(order["exit"])
"""


@pytest.fixture
def begun(tmp_path, monkeypatch):
    (tmp_path / "a_measurement.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def start(say="", fail="", status=0):
        return child.start("a_measurement", {"say": say, "fail": fail, "exit": status})

    return start


def test_it_computes_on_one_thread():
    found = child.start("lambda_core.measuring", {"points": []})
    assert found.ended.wait(60) and found.lines[-1]["threads"] == 1


@pytest.mark.parametrize("line", ["no json", "{broken}", '{"cut": ', '{"number": 2}'])
def test_another_can_begin_whatever_it_said(begun, line):
    for _ in range(2):
        found = begun(line)
        assert found.ended.wait(30) and not found.busy
        assert found.lines[0] == {"number": 1} and len(found.lines) == 1 + ("2" in line)
        assert found.failure(5) is None


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"fail": "the layer is broken"}, "failed: RuntimeError: the layer is broken"),
        ({"fail": "not enough memory"}, "took more memory than there is and was stopped"),
        ({"status": 3}, "took longer than 5 seconds and was stopped"),
        ({"status": 7}, "failed: exit status 7"),
    ],
)
def test_why_it_ended_is_told(begun, how, why):
    found = begun(**how)
    assert found.ended.wait(30)
    assert found.failure(5) == why


def test_one_at_a_time_and_one_that_cannot_start_leaves_the_turn(begun, monkeypatch):
    first = begun("x" * 10)
    with pytest.raises(RuntimeError, match="under way"):
        begun()
    assert first.ended.wait(30)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(FileNotFoundError):
            begun()
    assert begun().ended.wait(30)
