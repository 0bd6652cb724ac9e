"""The generated scenes: the same pixels everywhere, every class, and never half a set."""

from __future__ import annotations

import ast
import hashlib
import inspect
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store.cache_place import cache_root
from harness.values.errors import DataError
from models.datasets import CLASSES, IGNORE, SceneSet, draw_scene, write_scenes
from models.datasets.drawing import street
from models.datasets.draws import Draws, speckle
from models.datasets.labels import LABELS, PALETTE, TRAIN_IDS, colourise
from models.datasets.scene_cache import cached_scenes

SMALL = SceneSet(count=3, height=48, width=96, seed=3)


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


@pytest.mark.parametrize(
    ("scenes", "split", "index", "image", "labels"),
    [
        (SceneSet(height=128, width=256), "train", 0, "603eeaf7f4e9e059", "af4bad05116fa628"),
        (SceneSet(height=128, width=256), "train", 2, "9aff0a64faf34fe5", "38509bfd28083657"),
        (SceneSet(height=128, width=256, seed=1), "val", 5, "61817d5f9d33a023", "e8a612176cfda90b"),
        (SceneSet(height=90, width=321, seed=-7), "train", 11, "5ed71223334e3db0", "6a471d6bdec4070a"),
        (SceneSet(height=1024, width=2048), "train", 3, "098ddaf0ac5a967f", "13b9d7823f65c8d1"),
    ],
)
def test_the_pixels_are_pinned(scenes: SceneSet, split: str, index: int, image: str, labels: str) -> None:
    scene = draw_scene(scenes, split, index)
    assert (digest(scene.image), digest(scene.label_ids)) == (image, labels)


def test_the_draws_are_pinned() -> None:
    draws = Draws("scene", 0, "train", 1)
    words = [draws.word() for _ in range(3)]
    assert words == [173153703398430404, 11684145030090936422, 11247713982626549995]
    rows, columns = np.arange(-2, 3, dtype=np.int32)[:, None], np.arange(4, dtype=np.int32)[None, :]
    assert digest(speckle(5, rows, columns)) == "1f749f4e0f7dc93f"


def test_splitmix_gives_its_published_sequence() -> None:
    """The first outputs for seed 1234567, as every implementation of SplitMix64 quotes them."""
    draws = Draws()
    draws._key = 1234567
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [draws.word() for _ in range(5)] == published


def test_nothing_in_a_drawing_is_a_float() -> None:
    sources = [Path(inspect.getfile(street)).parent.glob("*.py"), [Path(inspect.getfile(Draws))]]
    nodes = [node for path in itertools.chain(*sources) for node in ast.walk(ast.parse(path.read_text()))]
    assert len(nodes) > 5000
    assert not [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    assert not [node for node in nodes if isinstance(node, ast.Div)]


def test_streams_differ_by_every_part_of_their_name() -> None:
    names = [("a", 1), ("a", 2), ("b", 1), ("a", "1"), ("a",), (1, "a"), ("a", 1, 0)]
    assert len({Draws(*name).word() for name in names}) == len(names)


@given(st.integers(1, 5000), st.integers())
def test_a_draw_is_in_its_range(n: int, seed: int) -> None:
    draws = Draws(seed)
    assert 0 <= draws.below(n) < n
    assert -n <= draws.between(-n, n) <= n
    assert sorted(draws.shuffled(min(n, 50))) == list(range(min(n, 50)))


def test_draws_are_spread_evenly() -> None:
    draws = Draws("evenly")
    counts = np.bincount([draws.below(10) for _ in range(10_000)], minlength=10)
    # 30 is the standard deviation of each count; the seed is fixed, so this can't fail by chance.
    assert abs(counts - 1000).max() < 120
    noise = speckle(9, np.arange(200, dtype=np.int32)[:, None], np.arange(200, dtype=np.int32)[None, :]) >> np.uint32(
        24
    )
    assert abs(np.bincount(noise.ravel(), minlength=256) - 156.25).max() < 65


def test_every_class_and_what_is_ignored_occur_in_a_small_set() -> None:
    counts = np.zeros(256, dtype=np.int64)
    for index in range(24):
        counts += np.bincount(draw_scene(SceneSet(), "train", index).train_ids.ravel(), minlength=256)
    share = counts / counts.sum()
    assert share[:19].min() > 0.001
    assert 0.02 < share[IGNORE] < 0.15
    assert counts[19:IGNORE].sum() == 0


@settings(max_examples=15)
@given(st.integers(32, 140), st.integers(32, 300), st.integers(0, 50), st.integers(-3, 3))
def test_scenes_of_any_size_are_whole(height: int, width: int, index: int, seed: int) -> None:
    scene = draw_scene(SceneSet(height=height, width=width, seed=seed), "train", index)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    assert scene.label_ids.shape == (height, width)
    assert not (scene.label_ids == 0).any(), "a hole in the picture"


def test_a_scene_does_not_depend_on_how_many_there_are() -> None:
    few, many = (draw_scene(SceneSet(count=count), "train", 1) for count in (2, 200))
    assert np.array_equal(few.image, many.image)
    assert not np.array_equal(few.image, draw_scene(SceneSet(), "val", 1).image)


def test_scenes_lie_as_cityscapes_does(tmp_path: Path) -> None:
    write_scenes(tmp_path, SMALL, "val")
    image = tmp_path / "leftImg8bit/val/birkenfurt/birkenfurt_000001_000000_leftImg8bit.png"
    labels = tmp_path / "gtFine/val/birkenfurt"
    scene = draw_scene(SMALL, "val", 1)
    assert np.array_equal(cv2.imread(str(image))[..., ::-1], scene.image)
    for kind, expected in (("labelIds", scene.label_ids), ("labelTrainIds", scene.train_ids)):
        stored = cv2.imread(str(labels / f"birkenfurt_000001_000000_gtFine_{kind}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(stored, expected)
    assert len(list(tmp_path.rglob("*.png"))) == 4 * SMALL.count


def test_the_labels_are_those_of_cityscapes() -> None:
    assert [label.id for label in LABELS] == list(range(34))
    assert len(CLASSES) == len(PALETTE) == 19
    assert (CLASSES[0], CLASSES[8], CLASSES[13], CLASSES[18]) == ("road", "vegetation", "car", "bicycle")
    assert TRAIN_IDS[[7, 8, 11, 19, 23, 24, 26, 31, 33]].tolist() == [0, 1, 2, 6, 10, 11, 13, 16, 18]
    assert set(TRAIN_IDS[34:].tolist()) == {IGNORE}
    assert colourise(np.array([[0, 13, 255]], dtype=np.uint8)).tolist() == [[[128, 64, 128], [0, 0, 142], [0, 0, 0]]]


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ALIGN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache/alignment-harness"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg/alignment-harness"
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "ours"))
    assert cache_root() == tmp_path / "ours"


def test_a_drawing_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))

    def full(root: Path, scenes: SceneSet, split: str) -> None:
        write_scenes(root, scenes, split)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("models.datasets.scene_cache.write_scenes", full)
        with pytest.raises(DataError, match="No space left"):
            cached_scenes(SMALL, "train")
    assert list(tmp_path.iterdir()) == []
    assert len(list(cached_scenes(SMALL, "train").rglob("*.png"))) == 12


def test_a_set_with_an_image_missing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
    next(cached_scenes(SMALL, "train").rglob("*_leftImg8bit.png")).unlink()
    with pytest.raises(DataError, match="2 images"):
        cached_scenes(SMALL, "train")


def test_a_process_killed_while_drawing_leaves_no_set(tmp_path: Path) -> None:
    program = "from models.datasets.scene_cache import *; from models.datasets.scenes import *\n"
    program += "cached_scenes(SceneSet(count=3000, height=48, width=96, seed=3), 'train')"
    environment = os.environ | {"ALIGN_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    drawing = subprocess.Popen([sys.executable, "-c", program], env=environment)
    try:
        limit = time.monotonic() + 30
        while not list(tmp_path.rglob("*.png")) and time.monotonic() < limit:
            time.sleep(0.01)
    finally:
        drawing.send_signal(signal.SIGKILL)
        drawing.wait()
    left = [path.name for path in tmp_path.iterdir()]
    assert left
    assert all(".partial-" in name for name in left)


def _draw_at_once(cache: str, start: object, roots: object) -> None:
    os.environ["ALIGN_CACHE"] = cache
    start.wait()
    roots.put(str(cached_scenes(SMALL, "train")))


def test_two_processes_that_draw_at_once_share_one_set(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    start, roots = fork.Barrier(2), fork.Queue()
    processes = [fork.Process(target=_draw_at_once, args=(str(tmp_path), start, roots)) for _ in range(2)]
    for process in processes:
        process.start()
    found = {roots.get(timeout=30) for _ in processes}
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert [str(path) for path in tmp_path.iterdir()] == list(found)
    assert len(list(tmp_path.rglob("*.png"))) == 12


def test_a_set_that_another_process_finished_first_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))

    def overtaken(root: Path, scenes: SceneSet, split: str) -> None:
        write_scenes(root, scenes, split)
        monkeypatch.undo()
        monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
        cached_scenes(scenes, split)

    monkeypatch.setattr("models.datasets.scene_cache.write_scenes", overtaken)
    root = cached_scenes(SMALL, "train")
    assert list(tmp_path.iterdir()) == [root]
    assert len(list(root.rglob("*.png"))) == 12
