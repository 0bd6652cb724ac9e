"""What every test is run under, where measured data lies, and the baseline of the tiny case."""

import fcntl
import importlib
import os
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import settings

from harness.running.isolation import isolated_python

# A busy machine is slow, not wrong; and what stops a change is that change: each run draws the same examples.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile("same")

_OLDEST_EMULATION = (2, 13)


def _release(version):
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2])


os.environ["ALIGN_LANG"] = "en"  # the tests read English, whatever the locale is


def pytest_configure(config):
    """A torch that is newer than the one that the tests are made with may warn of what nobody here knew yet.

    On a new machine yapf, which mmengine imports, writes a cache that a second process may meet half-written: it is
    imported before there are two.
    """
    if not hasattr(config, "workerinput"):
        importlib.import_module("yapf")
    pins = (Path(__file__).parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    made_with = next(pin.partition("==")[2] for pin in pins if pin.startswith("torch=="))
    if _release(metadata.version("torch")) > _release(made_with):
        config.addinivalue_line("filterwarnings", "default")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """The fast tests alone are measured for the lines that they run: the slow ones take minutes, for one line in 80."""
    plugin = item.config.pluginmanager.get_plugin("_cov")
    measured = plugin.cov_controller if plugin is not None and item.get_closest_marker("slow") is not None else None
    if measured is None:
        return (yield)
    measured.pause()
    try:
        return (yield)
    finally:
        measured.resume()


def pytest_collection_modifyitems(items):
    """Skip what needs the emulated device where torch is too old for it."""
    if _release(metadata.version("torch")) < _OLDEST_EMULATION:
        for item in items:
            if item.get_closest_marker("emulated"):
                item.add_marker(pytest.mark.skip(reason="the emulated device needs torch 2.13 or later"))


@pytest.fixture(scope="session")
def shared():
    """Measured data that a user's clone has none of."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the field's real traces are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def tiny_baselines(tmp_path_factory):
    """A folder with a baseline of the tiny case, recorded by the command; once for all processes of a parallel run."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    folder, tiny = place / "tiny-baselines", Path(__file__).parent / "running" / "tiny"
    with (place / "tiny-baselines.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            words = ["record", "tiny.py", "--device", "cpu", "--repeats", "5", "--baseline-dir", str(folder)]
            environment = {**os.environ, "PYTHONPATH": str(tiny), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
            command = isolated_python("harness.cli:main", *words)
            done = subprocess.run(command, cwd=tiny, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "spread of 5 healthy runs" in done.stdout
    return folder
