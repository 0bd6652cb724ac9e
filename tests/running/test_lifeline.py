"""A worker ends with the process that watches it, whatever that one's number is."""

import os
import signal
import subprocess
import sys

import pytest

from harness.running import lifeline
from harness.running.lifeline import WATCHER, die_with_parent, watched

CHILD = "import time; from harness.running.lifeline import die_with_parent; die_with_parent(); print(1); time.sleep(60)"
PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-u", "-c", {CHILD!r}])
time.sleep(60)
"""


@pytest.fixture
def killed(monkeypatch):
    """The signals that this process would have sent itself, in a container where its parent is the first process."""
    sent = []
    monkeypatch.setattr(lifeline.os, "getppid", lambda: 1)
    monkeypatch.setattr(lifeline.os, "kill", lambda _, number: sent.append(number))
    monkeypatch.setattr(lifeline.ctypes, "CDLL", lambda _: (_ for _ in ()).throw(OSError))
    return sent


def test_it_lives_where_the_first_process_of_a_container_watches_it(killed, monkeypatch):
    monkeypatch.setenv(WATCHER, "1")
    die_with_parent()
    assert not killed


def test_it_ends_where_the_one_that_watched_it_is_gone(killed, monkeypatch):
    monkeypatch.setenv(WATCHER, "4711")
    die_with_parent()
    assert killed == [signal.SIGKILL]


def test_what_it_starts_is_not_told_of_a_watcher_that_is_not_theirs(killed, monkeypatch):
    monkeypatch.setenv(WATCHER, "1")
    die_with_parent()
    assert WATCHER not in os.environ
    die_with_parent()
    assert not killed
    assert watched() == {WATCHER: str(os.getpid())}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_it_ends_when_the_one_that_watches_it_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"1\n"
    parent.kill()
    assert parent.communicate(timeout=30)[0] == b""  # ends where the child, which holds the pipe too, has ended
