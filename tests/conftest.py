"""Traces, provenance and baselines made up for tests, and where measured data lies."""

import dataclasses
import fcntl
import importlib
import os
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from harness.running.isolation import isolated_python
from harness.values.baseline import Baseline
from harness.values.provenance import Device, Provenance
from harness.values.trace import StateTable, Trace

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


def pytest_collection_modifyitems(items):
    """Skip what needs the emulated device where torch is too old for it."""
    if _release(metadata.version("torch")) < _OLDEST_EMULATION:
        for item in items:
            if item.get_closest_marker("emulated"):
                item.add_marker(pytest.mark.skip(reason="the emulated device needs torch 2.13 or later"))


ANSWERS = ("loss/decode.loss_ce", *(f"pixels/decode/{label}/{given}" for label in (0, 1) for given in (0, 1)))
TENSORS = ("param/conv.weight", "param/conv.bias", "mean/bn.running_mean", "var/bn.running_var")


def make_trace(seed=0, noise=1e-5, iterations=30, scale=1.0, **changes):
    """A healthy run: a falling loss, whose noise grows by a tenth an iteration."""
    rng = np.random.default_rng(seed)
    t = np.arange(iterations)

    def noisy(values):
        return values * np.exp(noise * 1.1**t * rng.standard_normal(iterations))

    main, aux = noisy(2.0 * scale * np.exp(-t / 40)), noisy(0.8 * scale * np.exp(-t / 40))
    signals = {
        "loss": main + aux,
        "decode.loss_ce": main,
        "aux.loss_ce": aux,
        "decode.acc_seg": 50 + t / 10,
        "lr": 0.01 * (1 - t / 40000) ** 0.9,
        "grad_norm": noisy(3.0 + 0 * t),
        "update_norm": noisy(0.01 + 0 * t),
        "param_norm": noisy(100.0 + 0 * t),
        "bn_mean_norm": noisy(1.0 + 0.01 * t),
        "bn_var_norm": noisy(8.0 + 0.01 * t),
        "seconds": np.full(iterations, 0.5),
        "memory": np.full(iterations, 900.0),
    }
    at = np.array([i for i in (0, 1, 2, 4, 8, 16, 29) if i < iterations])
    levels = np.array([5.0, 0.1, 1.0, 8.0])
    state = levels * np.exp(noise * rng.standard_normal((len(at), len(TENSORS))))
    asked = np.array([i for i in (0, 8, 29) if i < iterations])
    answers = np.tile([2.0, 700.0, 300.0, 100.0, 900.0], (len(asked), 1))
    answers[:, 0] *= np.exp(noise * rng.standard_normal(len(asked)))
    turned = rng.integers(0, 3, len(asked)) if noise else 0  # pixels between two classes
    answers[:, 1] += turned
    answers[:, 2] -= turned
    trace = Trace(
        iterations=t.astype(np.int64),
        signals=signals,
        planned=iterations,
        complete=True,
        batches=tuple(f"{i:032x}" for i in t),
        state=StateTable(at.astype(np.int64), TENSORS, state),
        evaluation=StateTable(asked.astype(np.int64), ANSWERS, answers),
    )
    return dataclasses.replace(trace, **changes) if changes else trace


def make_provenance(**changes):
    """Where a healthy run comes from."""
    base = Provenance(
        case="made_up",
        settings={"optim_wrapper.optimizer.lr": "0.01", "model.backbone.depth": "50"},
        weights="ab" * 32,
        seed=0,
        precision="fp32",
        world_size=1,
        global_batch=2,
        iterations=30,
        device=Device("cpu", "a processor"),
        versions={"torch": "2.13.0"},
        environment={"OMP_NUM_THREADS": "2"},
        host={"machine": "x86_64"},
        commit="0123456789ab",
        command="align record made_up",
        started="2026-01-01T00:00:00+00:00",
    )
    return dataclasses.replace(base, **changes)


def make_baseline(repeats=8, noise=1e-5, iterations=30, **changes):
    """k healthy runs at fp32, and k at a tf32 that is a hundred times noisier."""
    base = Baseline(
        case="made_up",
        reference="cpu",
        tiers={
            "fp32": tuple(make_trace(seed, noise, iterations) for seed in range(repeats)),
            "tf32": tuple(make_trace(100 + seed, 100 * noise, iterations) for seed in range(repeats)),
        },
        provenance=make_provenance(iterations=iterations),
        fp64=make_trace(999, 0.0, 3),
        reason="first recording",
        recorded="2026-01-01T00:00:00+00:00",
    )
    return dataclasses.replace(base, **changes)


def with_signal(trace, name, values):
    """The same trace with another signal."""
    return dataclasses.replace(trace, signals={**trace.signals, name: np.asarray(values, dtype=float)})


@pytest.fixture(scope="session")
def make():
    """The makers above, for tests that can't import this file."""
    from types import SimpleNamespace

    return SimpleNamespace(
        trace=make_trace, provenance=make_provenance, baseline=make_baseline, with_signal=with_signal, tensors=TENSORS
    )


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
