"""What killed processes leave is removed by the next, and nothing that is in use."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.store.atomic import replace_folder, write_text
from harness.store.temporary import make_file, make_folder, owned_folder, owned_temporaries, remove_abandoned

KILLED = """
import os, sys
from pathlib import Path
from harness.store import atomic, temporary
folder = Path(sys.argv[1])
place, held = temporary.make_folder("run-", folder)
(place / "inner").write_text("x")
other, handle = temporary.make_file(".file.", folder)
fresh, more = temporary.make_folder(".base.", folder)
print(place, other, fresh, flush=True)
if sys.argv[2] == "wait":
    sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def start(folder, what):
    command = [sys.executable, "-c", KILLED, str(folder), what]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, [Path(name) for name in process.stdout.readline().split()]


def act(folder):
    """The next run's doings in the same places."""
    with owned_folder("run-", folder) as mine:
        assert mine.is_dir()
    write_text(folder / "file", "new")
    with replace_folder(folder / "base") as fresh:
        (fresh / "a").write_text("a")


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    process, left = start(tmp_path, "die")
    process.communicate()
    assert all(path.exists() for path in left)
    act(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "file"]


def test_what_is_in_use_is_left(tmp_path):
    process, used = start(tmp_path, "wait")
    act(tmp_path)
    assert all(path.exists() for path in used)
    process.communicate()
    act(tmp_path)
    assert not any(path.exists() for path in used)


def test_what_this_process_uses_is_left_and_removed_at_its_end(tmp_path):
    with owned_folder("run-", tmp_path) as mine:
        act(tmp_path)
        assert mine.is_dir()
    assert not mine.exists()
    file, handle = make_file(".file.", tmp_path)
    folder, held = make_folder(".base.", tmp_path)
    remove_abandoned([file, folder])
    assert file.exists()
    assert folder.exists()
    os.close(handle)
    os.close(held)
    remove_abandoned([file, folder])
    assert not file.exists()
    assert not folder.exists()


def test_links_and_what_is_gone_are_left_alone(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "run-link").symlink_to(tmp_path / "kept")
    os.mkfifo(tmp_path / "run-fifo")
    remove_abandoned([tmp_path / "run-link", tmp_path / "run-nothing"])
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize("name", ["file", "file.txt", "fi*le"])
def test_files_of_other_names_are_no_leftovers_of_this_one(tmp_path, name):
    others = [f".{name}.abc", f".{name}.aaaaaaaa.old", ".other.aaaaaaaa", f"{name}.aaaaaaaa"]
    for other in others:
        (tmp_path / other).write_text("")
    write_text(tmp_path / name, "x")
    assert {path.name for path in tmp_path.iterdir()} == {*others, name}


LIBRARY = """
import os, tempfile
from harness.store.temporary import owned_temporaries
with owned_temporaries("theirs-"), tempfile.TemporaryDirectory() as folder:
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_library_makes_for_a_time_is_removed_by_the_next_where_its_process_is_killed(tmp_path, monkeypatch):
    killed = subprocess.run(
        [sys.executable, "-c", LIBRARY],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    assert left.parent.parent == tmp_path
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with owned_temporaries("theirs-"):
        assert not left.exists()
        with tempfile.TemporaryDirectory() as theirs:
            assert Path(theirs).parent.name.startswith("theirs-")
    assert tempfile.tempdir == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_library_keeps_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with owned_temporaries("theirs-"):
        kept = Path(tempfile.mkdtemp())
    with owned_temporaries("theirs-"):
        pass
    assert kept.is_dir()
