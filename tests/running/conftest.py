"""The tiny case, and a baseline of it that is recorded once."""

import dataclasses
import os
from pathlib import Path

import pytest

from harness.running.cases import find_case
from harness.running.order import Order

TINY = Path(__file__).parent / "tiny"


@pytest.fixture(scope="session", autouse=True)
def tiny_parts_can_be_imported():
    """Children inherit the environment: the user's own modules are on their path, as in the field."""
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "OMP_NUM_THREADS")}
    os.environ["PYTHONPATH"] = str(TINY)
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def tiny(tiny_parts_can_be_imported):
    return find_case(str(TINY / "tiny.py"))


@pytest.fixture(scope="session")
def order(tiny):
    return Order(config=str(tiny.config), device="cpu", command="align verify tiny.py")


@pytest.fixture
def changed(order):
    """An order like the usual one, but for some fields."""
    return lambda **changes: dataclasses.replace(order, **changes)


@pytest.fixture(scope="session")
def baselines(tiny_baselines):
    """A folder with a baseline of the tiny case."""
    return tiny_baselines
