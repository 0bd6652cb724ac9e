"""Verdicts, results and pages of a fixed set of recorded runs: moving code leaves every one as it was."""

import json
from importlib import metadata

import pytest

from tests.pinned import pinned

MADE_WITH = {"numpy": "2.4.6", "scipy": "1.17.1", "matplotlib": "3.11.2", "jinja2": "3.1.6"}
"""What draws and computes; another version of it may well draw otherwise."""


def test_verdicts_results_and_pages_are_as_they_were():
    here = {name: metadata.version(name) for name in MADE_WITH}
    if here != MADE_WITH:
        pytest.skip(f"the digests were made with {MADE_WITH}, this is {here}")
    assert pinned.describe() == json.loads(pinned.DIGESTS.read_text(encoding="utf-8"))
