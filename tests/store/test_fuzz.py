"""A slice of the fuzz run: every reader, files broken in every way, and not one traceback, hang or wrong value.

The whole is ``python benchmarks/fuzz_readers.py``.
"""

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz_readers.py"


@pytest.fixture
def fuzz_readers(monkeypatch):
    spec = importlib.util.spec_from_file_location("fuzz_readers", FUZZ)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fuzz_readers", module)
    spec.loader.exec_module(module)
    before = signal.getsignal(signal.SIGPROF)
    yield module
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("reader", ["stream", "order", "provenance", "shadow", "reproductions", "error", "log"])
def test_no_input_is_more_than_a_reader_can_take(fuzz_readers, reader, monkeypatch, capsys):
    monkeypatch.setattr(fuzz_readers, "SECONDS", 30.0)  # a busy machine is slow, not wrong
    assert fuzz_readers.main(["--inputs", "150", "--only", reader, "--seed", "7"]) == 0, capsys.readouterr()


@pytest.mark.parametrize("reader", ["result", "baseline", "compare"])
def test_what_is_guarded_is_never_taken_when_it_was_changed(fuzz_readers, reader, monkeypatch, capsys):
    monkeypatch.setattr(fuzz_readers, "SECONDS", 30.0)
    assert fuzz_readers.main(["--inputs", "40", "--only", reader, "--seed", "7"]) == 0, capsys.readouterr()


def test_a_reader_that_takes_what_is_not_there_would_be_counted(fuzz_readers, monkeypatch):
    """The measure itself can fail."""

    def lax(place):
        raise fuzz_readers.WrongError("taken")

    def rude(place):
        raise KeyError

    for read, kind in ((lax, "wrong"), (rude, "tracebacks")):
        reader = fuzz_readers.Reader({"a": b"{}"}, read)
        assert fuzz_readers._read(reader, Path()) == kind
