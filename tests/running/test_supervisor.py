"""The process between the watchdog and a run: what it keeps of the output, and what it leaves running: nothing."""

import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.running import follow_up_process
from harness.running.folder import FOLLOW_UP, REPRODUCTIONS
from harness.running.follow_up_process import FollowUp, follow_up
from harness.running.isolation import isolated_python
from harness.running.pool import Slot
from harness.running.supervisor import BoundedLog


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_the_beginning_and_the_end_of_an_output_are_kept(pieces):
    file, whole = io.BytesIO(), b"".join(pieces)
    log = BoundedLog(file, head=30, tail=20)
    for piece in pieces:
        log.write(piece)
    log.close()
    if len(whole) <= 50:
        assert file.getvalue() == whole
    else:
        between = f"\n[… {len(whole) - 50} bytes were left out here …]\n".encode()
        assert file.getvalue() == whole[:30] + between + whole[-20:]


def supervised(log, program):
    words = isolated_python("harness.running.supervisor:main", str(log), sys.executable, "-c", program)
    return subprocess.Popen(words, start_new_session=True)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("print('x')", 0),
        ("import sys; print('x'); sys.exit(3)", 3),
        ("import os; print('x', flush=True); os.kill(os.getpid(), 9)", -9),
        ("import os; print('x', flush=True); os.kill(os.getpid(), 15)", -15),
    ],
)
def test_it_ends_as_the_run_does(tmp_path, program, code):
    assert supervised(tmp_path / "log", program).wait(timeout=30) == code
    assert (tmp_path / "log").read_text() == "x\n"


DAEMONS = """
import os, sys, time
reading, writing = os.pipe()
for _ in range(3):
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.write(1, b"%d\\n" % os.getpid())  # in one piece: print may write the end of the line by itself
            os.write(writing, b".")
            time.sleep(600)
        os._exit(0)
for _ in range(3):
    os.read(reading, 1)  # each has said who it is, however busy the machine
time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else LAST)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands a process the orphans of its descendants")
@pytest.mark.parametrize("end", ["by itself", "SIGTERM"])
def test_daemons_end_with_it(tmp_path, end):
    child = supervised(tmp_path / "log", DAEMONS.replace("LAST", "0.5" if end == "by itself" else "600"))
    deadline = time.monotonic() + 30
    while len((tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else ()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if end != "by itself":
        child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=30) == (0 if end == "by itself" else -9)
    daemons = [int(word) for word in (tmp_path / "log").read_text().split()]
    assert not any(map(alive, daemons))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands a process the orphans of its descendants")
def test_what_a_follow_up_started_ends_with_it(tmp_path, monkeypatch):
    """A device's call that is asked for again may start what outlives it, as a training may."""
    (tmp_path / REPRODUCTIONS).mkdir()
    (tmp_path / REPRODUCTIONS / "wrong.safetensors").touch()
    hanging = [sys.executable, "-c", DAEMONS.replace("LAST", "600")]
    ours = follow_up_process.isolated_python

    def started(entry, *words):
        return hanging if entry.startswith("harness.running.follow_up_process") else ours(entry, *words)

    monkeypatch.setattr(follow_up_process, "isolated_python", started)
    slot, log = Slot(), tmp_path / FOLLOW_UP

    def stop_when_all_have_begun():
        while len(log.read_text().split() if log.exists() else ()) < 3:
            time.sleep(0.05)
        slot.stop.set()

    stopping = threading.Thread(target=stop_when_all_have_begun)
    stopping.start()
    follow_up(tmp_path, FollowUp(ask=60), slot)
    stopping.join(timeout=30)
    daemons = [int(word) for word in log.read_text().split()]
    assert len(daemons) == 3
    assert not any(map(alive, daemons))
