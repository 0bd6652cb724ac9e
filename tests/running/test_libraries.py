"""Where OpenCV lacks a library of the system's, what to install is told, and nothing else is taken for that."""

import json
from importlib import import_module
from types import SimpleNamespace

import pytest

from harness.running import worker
from harness.running.folder import ERROR, ORDER
from harness.running.libraries import missing_library

LACKING = ImportError(
    "libxcb.so.1: cannot open shared object file: No such file or directory", name="cv2", path="/site/cv2/cv2.abi3.so"
)


def raising(failure):
    def run(*_):
        raise failure

    return run


def test_the_error_says_what_where_and_what_to_install():
    error = missing_library(LACKING)
    assert "cv2" in error.what
    assert error.where == "/site/cv2/cv2.abi3.so"
    assert "libxcb.so.1" in error.observed
    assert "opencv-python-headless" in error.hint


@pytest.mark.parametrize("failure", [ModuleNotFoundError("No module named 'mine'", name="mine"), ImportError("cycle")])
def test_an_import_that_fails_for_another_reason_is_not_explained(failure):
    assert missing_library(failure) is None


def test_of_another_package_nothing_is_advised():
    error = missing_library(ImportError(str(LACKING), name="torch._C", path="/site/torch/_C.so"))
    assert "torch._C" in error.what
    assert error.hint is None


@pytest.fixture
def ordered(order, tmp_path):
    order.write(tmp_path / ORDER)
    return tmp_path


def test_a_run_leaves_the_error_for_the_report(ordered, monkeypatch, capsys):
    monkeypatch.setattr(worker, "_run", raising(LACKING))
    assert worker.main([str(ordered)]) == 2
    assert "opencv-python-headless" in json.loads((ordered / ERROR).read_text())["hint"]
    assert "Traceback" not in capsys.readouterr().err


def test_an_import_error_of_the_users_config_stays_one(ordered, monkeypatch):
    monkeypatch.setattr(worker, "_run", raising(ModuleNotFoundError("No module named 'mine'", name="mine")))
    with pytest.raises(ModuleNotFoundError):
        worker.main([str(ordered)])
    assert not (ordered / ERROR).exists()


def test_a_command_tells_it_and_ends_with_2(monkeypatch, capsys):
    module = import_module("harness.cli.main")
    parsed = SimpleNamespace(func=raising(LACKING))
    monkeypatch.setattr(module, "build_parser", lambda *_: SimpleNamespace(parse_args=lambda _: parsed))
    assert module.main(["doctor"]) == 2
    told = capsys.readouterr().err
    assert "opencv-python-headless" in told
    assert "fault of align" not in told
