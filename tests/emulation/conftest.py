"""Tests marked `on_device` run in a process of their own that has the emulated device.

The device is process-wide, so pytest's own process never gets it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
pytest.register_assert_rewrite("tests.emulation.runner_faults")


class DeviceProcess:
    def __init__(self) -> None:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(HERE / "device_process.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)

    def run(self, item: pytest.Function) -> None:
        names = item._fixtureinfo.argnames
        call = {
            "path": str(item.path),
            "function": item.originalname,
            "arguments": {name: item.funcargs[name] for name in names},
        }
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            pytest.fail(f"the device process died with exit code {self.process.wait()}", pytrace=False)
        failure = json.loads(answer)["failure"]
        if failure is not None:
            pytest.fail(failure, pytrace=False)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on_device: runs in a process that has the emulated device")


@pytest.fixture(scope="session")
def _device_processes() -> Iterator[list[DeviceProcess]]:
    processes: list[DeviceProcess] = []
    yield processes
    for process in processes:
        process.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("emulated")
        if item.get_closest_marker("on_device"):
            item.fixturenames.append("_device_processes")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not pyfuncitem.get_closest_marker("on_device"):
        return None
    processes = pyfuncitem.funcargs["_device_processes"]
    if not processes or processes[-1].process.poll() is not None:
        processes.append(DeviceProcess())
    processes[-1].run(pyfuncitem)
    return True


@pytest.fixture
def python(tmp_path: Path):
    """Run a script in a fresh interpreter; its CompletedProcess."""

    def run(script: str, *arguments: str, timeout: float = 120, **environ: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(script)
        return subprocess.run(
            [sys.executable, str(path), *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environ},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
