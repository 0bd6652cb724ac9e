"""Logs that are more than lines: event files, block files, tables, folders of runs."""

import gzip
import json
import math
import os
import sys
from pathlib import Path

import pytest

from harness.logs import read as reading
from harness.logs import read_log
from harness.logs.many import compare_many
from harness.logs.runs import find_log
from harness.store.provenance_file import write_provenance
from harness.store.stream import TraceStream
from harness.values.errors import LogError
from tests.healthy_runs import make_provenance
from tests.logs.written_logs import same, write


def test_event_files_are_read(tmp_path):
    writer_module = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    writer = writer_module.EventFileWriter(str(tmp_path))
    for step, value in enumerate([4.0, 3.5, math.nan]):
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag in ("train/loss", "lr")]
        writer.add_event(Event(step=step, summary=Summary(value=scalars)))
    writer.close()
    log = read_log(tmp_path)
    same(log, range(3), [4.0, 3.5, math.nan])
    assert log.metric == "train/loss"
    (events,) = tmp_path.iterdir()
    same(read_log(events, metric="lr"), range(3), [4.0, 3.5, math.nan])


def test_event_files_without_their_reader_name_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_accumulator", None)
    with pytest.raises(LogError, match="pip install"):
        read_log(write(tmp_path / "events.out.tfevents.1", b""))


def test_block_files_hold_both_sides(tmp_path):
    path = write(
        tmp_path / "loss.txt",
        b"=== CUDA ===\n4.0\n3.5\nnan\n=== SDAA ===\n[4.1 3.6\n 2.5e-1]\n=== RESULT ===\nMeanRelativeError: 0.1\n",
    )
    same(read_log(path), range(3), [4.0, 3.5, math.nan])
    candidate = read_log(path, section="candidate")
    same(candidate, range(3), [4.1, 3.6, 0.25])
    assert not candidate.numbered
    assert any("CUDA, SDAA, RESULT" in decision for decision in candidate.decisions)
    with pytest.raises(LogError, match="no block"):
        read_log(path, section="Ascend")


def test_folders_of_runs_are_understood(formats, tmp_path):
    (tmp_path / "20250101" / "vis_data").mkdir(parents=True)
    write(tmp_path / "20250101" / "vis_data" / "scalars.json", formats["scalars_json"](range(3), [3.0, 2.0, 1.0]))
    write(tmp_path / "20250101" / "20250101.log", b"nothing")
    same(read_log(tmp_path), range(3), [3.0, 2.0, 1.0])
    write(tmp_path / "trace.csv", formats["csv"](range(3), [6.0, 5.0, 4.0]))
    (tmp_path / "result.json").write_text(json.dumps({"schema": 1}))
    same(read_log(tmp_path), range(3), [6.0, 5.0, 4.0])
    same(read_log(tmp_path / "result.json"), range(3), [6.0, 5.0, 4.0])
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(LogError, match="no JSON"):
        read_log(tmp_path)


def test_runs_of_this_project_bring_their_provenance(tmp_path):
    with TraceStream(tmp_path / "trace.jsonl", 3) as stream:
        for i in range(3):
            stream.append(i, {"loss": 4.0 - i, "lr": math.nan}, "ab", {"param/x": 1.0})
    write_provenance(tmp_path / "provenance.json", make_provenance(seed=7))
    log = read_log(tmp_path)
    same(log, range(3), [4.0, 3.0, 2.0])
    assert log.settings.items() >= {"seed": "7", "config": "made_up", "precision": "fp32", "global batch": "2"}.items()
    (tmp_path / "provenance.json").write_text("{}")
    with pytest.raises(LogError, match="provenance"):
        read_log(tmp_path)


def test_columns_without_a_header(tmp_path):
    path = write(tmp_path / "sdaa_loss.log", b"# SDAA loss log | 2025-07-16 13:19:30\n1\t4.75\n2\tnan\n3\t16.5\n")
    log = read_log(path)
    same(log, [1, 2, 3], [4.75, math.nan, 16.5])
    assert log.numbered
    alone = read_log(write(path, b"4.75\n1e-3\n"))
    same(alone, [0, 1], [4.75, 1e-3])
    assert not alone.numbered


def test_a_folder_of_trackers_means_its_event_files(tmp_path):
    """As Accelerate writes them: a run's folder, and the hyperparameters' in it."""
    for folder in ("logs/run", "logs/run/1764418590.1"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "events.out.tfevents.1764418590.host.1.0").touch()
    assert find_log(tmp_path / "logs") == tmp_path / "logs" / "run"
    (tmp_path / "logs" / "other").mkdir()
    (tmp_path / "logs" / "other" / "events.out.tfevents.1764418591.host.1.0").touch()
    with pytest.raises(LogError, match="which log is meant"):
        find_log(tmp_path / "logs")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_a_device_is_no_log(device):
    with pytest.raises(LogError, match="no log file") as caught:
        read_log(device)
    assert caught.value.observed == "a device"


def test_a_pipe_is_read_and_one_without_a_writer_is_empty(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LogError, match="empty"):
        read_log(tmp_path / "pipe")
    end, start = os.pipe()  # as the shell makes them
    os.write(start, gzip.compress(b"step 1 loss: 2.5\nstep 2 loss: 2.25\n"))
    os.close(start)
    same(read_log(f"/dev/fd/{end}"), [1, 2], [2.5, 2.25])
    os.close(end)


def test_what_unpacks_to_nothing_but_zeros_ends_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_SEARCHED", 1 << 21)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(1 << 24)))
    with pytest.raises(LogError, match="first part is empty"):
        read_log(tmp_path / "bomb.gz")
    text = b"step 1 loss: 2.5\n" * 2
    log = read_log(write(tmp_path / "cut.log", bytes(5000) + b"\n" * (1 << 20) + text))
    assert log.values[-1] == 2.5
    assert any("5,000 zero byte(s)" in said for said in log.decisions)
    with pytest.raises(LogError, match="first part"):
        read_log(write(tmp_path / "words.log", b"nothing is said here\n" * 200_000 + text))


def test_a_list_of_pairs_is_a_plain_file():
    with pytest.raises(LogError, match="plain file"):
        list(compare_many(Path("/dev/zero")))
