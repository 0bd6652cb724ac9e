"""What lies in the place of a run's output: it stops nobody who reads the run."""

import os

import pytest

from harness.running.folder import OUTPUT, STREAM
from harness.running.watchdog import read_run


@pytest.mark.parametrize("kind", ["missing", "pipe", "folder", "device"])
def test_what_is_no_plain_output_is_said_and_not_read(tmp_path, kind):
    (tmp_path / STREAM).touch()
    output = tmp_path / OUTPUT
    if kind == "pipe":
        os.mkfifo(output)
    elif kind == "folder":
        output.mkdir()
    elif kind == "device":
        output.symlink_to("/dev/zero")
    run = read_run(tmp_path)
    assert "ended before its end" in str(run.error)
    assert "can't be read" in run.output


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "nothing"])
def test_what_is_no_plain_stream_is_no_run_that_ended_well(tmp_path, kind):
    stream = tmp_path / STREAM
    (tmp_path / OUTPUT).write_text("the last words\n")
    if kind == "pipe":
        os.mkfifo(stream)
    elif kind == "folder":
        stream.mkdir()
    elif kind == "device":
        stream.symlink_to("/dev/zero")
    else:
        stream.touch()
    run = read_run(tmp_path)
    assert run.error is not None
    assert run.trace is None
    assert run.output == "the last words"
