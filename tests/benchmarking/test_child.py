import time

import pytest
from bench_models import Misbehaving, refuse

from pose_tools.benchmarking.child import Child
from pose_tools.console import FaultsError, UserError


@pytest.fixture(scope="module")
def child():
    child = Child(Misbehaving, "tiny.onnx, onnxruntime")
    yield child
    child.close()


def test_an_object_in_a_process_answers_and_prints_nothing(child, capfd):
    assert child.ask("add", a=2, b=3) == 5
    assert "noise" not in capfd.readouterr().out


def test_errors_come_back_as_what_they_are(child):
    with pytest.raises(UserError, match="^no such model$"):
        child.ask("fail", error=UserError("no such model"))
    with pytest.raises(FaultsError) as caught:
        child.ask("fault", file="a.onnx", what="is empty")
    assert [str(fault) for fault in caught.value.faults] == ["a.onnx: is empty"]
    with pytest.raises(UserError, match="No such file"):
        child.ask("fail", error=FileNotFoundError(2, "No such file", "a.onnx"))
    with pytest.raises(RuntimeError, match=r"(?s)tiny.onnx, onnxruntime: .*ValueError: out of range"):
        child.ask("fail", error=ValueError("out of range"))
    assert child.ask("add", a=1, b=1) == 2, "it goes on"


def test_what_cannot_be_made_is_told():
    child = Child(refuse, "tiny.onnx")
    try:
        with pytest.raises(UserError, match="is no model"):
            child.ask("anything")
    finally:
        child.close()


def test_a_process_that_dies_is_one_line():
    child = Child(Misbehaving, "tiny.onnx")
    try:
        with pytest.raises(UserError, match=r"^tiny.onnx: its process ended \(exit code 7\)"):
            child.ask("die")
    finally:
        child.close()


def test_closing_does_not_wait_for_what_it_is_doing():
    child = Child(Misbehaving, "tiny.onnx")
    child._pipe.send(("sleep", {}))
    start = time.monotonic()
    child.close()
    assert time.monotonic() - start < 60
    assert not child._process.is_alive()
