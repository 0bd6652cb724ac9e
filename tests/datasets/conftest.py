"""A folder of scenes that each test may damage, and a cache of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.datasets import SceneSet, write_scenes
from tests.datasets.city_files import SCENES


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_scenes(folder, SceneSet(**SCENES), "train")
    return folder


@pytest.fixture
def root(tmp_path: Path, drawn: Path) -> Path:
    """Five scenes of this test's own, to be damaged as it likes."""
    return shutil.copytree(drawn, tmp_path / "data")
