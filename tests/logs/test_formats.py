import gzip
import json
import math
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.logs import read_log
from harness.logs import text as reading
from harness.store.provenance import write_provenance
from harness.store.stream import TraceStream
from harness.values.errors import LogError

FORMATS = (
    "tcappdll_wide", "tcappdll_narrow", "tcappdll_prefixed", "tcappdll_twice", "mmengine_iter", "mmengine_epoch",
    "epoch_only", "bracketed", "dashed", "bare_pair", "step_last", "dict_print", "imagenet", "csv", "tsv",
    "scalars_json", "json_document",
)  # fmt: skip

anything = st.floats(width=64) | st.floats(0, 20).map(lambda v: round(v, 4)) | st.integers(-5, 9).map(float)
traces = st.lists(st.tuples(st.integers(0, 99_999), anything), min_size=1, max_size=150, unique_by=lambda pair: pair[0])
relaxed = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path, content):
    path.write_bytes(content)
    return path


def same(log, iterations, values):
    assert log.iterations.tolist() == list(iterations)
    np.testing.assert_array_equal(log.values, np.array(values, float))


@pytest.mark.parametrize("name", FORMATS)
@given(trace=traces)
@relaxed
def test_what_is_written_is_read_back(formats, tmp_path, name, trace):
    iterations, values = zip(*sorted(trace), strict=True)
    same(read_log(write(tmp_path / "run.log", formats[name](iterations, values))), iterations, values)


@pytest.mark.parametrize("name", FORMATS)
def test_a_hundred_and_fifty_like_lines_are_read_as_one_by_one(formats, tmp_path, name):
    """Beyond a number of records lines are read in bulk: with noise, or without, the trace is the same."""
    values = [round(4 - i / 60 + math.sin(i) / 9, 6) for i in range(300)]
    content = formats[name](range(300), values)
    same(read_log(write(tmp_path / "a.log", content)), range(300), values)


def test_the_bulk_is_read_in_bulk(lines, tmp_path, monkeypatch):
    """However the other numbers of a line vary, only the first records are read line by line."""
    text = ""
    for i in range(500):
        line = lines.mmengine_iter(i, 1.5 + i / 1000)
        text += line.replace("10445", str(10445 + 7 * i)).replace("0.8793", f"{i / 7:.4f}") + "\n"
    path = write(tmp_path / "run.log", text.encode())
    read = []
    one_by_one = reading.read_line
    monkeypatch.setattr(reading, "read_line", lambda line, dialect: read.append(line) or one_by_one(line, dialect))
    for metric in ("loss", None):
        read.clear()
        same(read_log(path, metric=metric), range(500), [1.5 + i / 1000 for i in range(500)])
        assert len(read) < 10


@given(
    values=st.lists(anything, min_size=64, max_size=200),
    noise=st.lists(
        st.sampled_from(["", "warning: x: y", "a: 1 b: 2 c: 3 d: 4 e: 5", "é: ü", "Iter(val) [1/2] loss: 1"])
    ),
    every=st.integers(1, 7),
)
@relaxed
def test_noise_between_the_lines_changes_nothing(lines, tmp_path, values, noise, every):
    for line in (lines.tcappdll_wide, lines.mmengine_iter):
        text = ""
        for i, value in enumerate(values):
            text += line(i, value) + "\n"
            if noise and i % every == 0:
                text += noise[i % len(noise)] + "\n"
        same(read_log(write(tmp_path / "run.log", text.encode())), range(len(values)), values)


@pytest.mark.parametrize("name", ["tcappdll_wide", "mmengine_iter", "csv", "scalars_json", "bare_pair"])
@pytest.mark.parametrize("disguise", ["gzip", "bom", "crlf", "utf16", "colours", "cr", "bad_bytes"])
def test_disguises_are_seen_through(formats, tmp_path, name, disguise):
    values = [4.0, math.nan, math.inf, 1.2e5, 0.5]
    content = formats[name](range(5), values)
    disguised = {
        "gzip": lambda: gzip.compress(content),
        "bom": lambda: b"\xef\xbb\xbf" + content,
        "crlf": lambda: content.replace(b"\n", b"\r\n"),
        "utf16": lambda: content.decode().encode("utf-16"),
        "colours": lambda: content.replace(b"loss", b"\x1b[32mloss\x1b[0m"),
        "cr": lambda: content.replace(b"\n", b"\r"),
        "bad_bytes": lambda: content.rstrip(b"\n") + b"\nnot \xff\xfe utf-8\n",
    }[disguise]()
    log = read_log(write(tmp_path / "run.log", disguised))
    same(log, range(5), values)
    if disguise == "bad_bytes":
        assert any("UTF-8" in decision for decision in log.decisions)


def test_zstandard_is_unpacked_or_named(formats, tmp_path, monkeypatch):
    content = formats["csv"](range(3), [3.0, 2.0, 1.0])
    try:
        import zstandard
    except ImportError:
        path = write(tmp_path / "run.zst", b"\x28\xb5\x2f\xfd" + content)
        with pytest.raises(LogError, match="pip install"):
            read_log(path)
        return
    path = write(tmp_path / "run.zst", zstandard.ZstdCompressor().compress(content))
    same(read_log(path), range(3), [3.0, 2.0, 1.0])
    write(path, path.read_bytes()[:-4])
    with pytest.raises(LogError):
        read_log(path)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(LogError, match="pip install"):
        read_log(path)


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


def test_records_without_numbers_are_numbered_and_said_so(tmp_path):
    log = read_log(write(tmp_path / "run.log", b"Loss: 2.1\nLoss: 2.0\nval loss: 9\nLoss: 1.9\n"))
    same(log, range(3), [2.1, 2.0, 1.9])
    assert not log.numbered
    assert any("numbered from 0" in decision for decision in log.decisions)


def test_several_records_on_a_line(lines, tmp_path):
    for line in (lines.tcappdll_wide, lines.bare_pair, lines.step_last, lines.bracketed):
        text = " ".join(line(i, 4.0 - i) for i in range(4))
        same(read_log(write(tmp_path / "run.log", text.encode())), range(4), [4.0, 3.0, 2.0, 1.0])


def test_ranks_are_kept_apart(lines, tmp_path):
    text = ""
    for i in range(100):
        for rank in (3, 0, 1):
            text += lines.tcappdll_wide(i, float(10 * rank + i)).replace("rank : 0", f"rank : {rank}") + "\n"
    path = write(tmp_path / "run.log", text.encode())
    log = read_log(path)
    assert sorted(log.ranks) == [0, 1, 3]
    same(log, range(100), range(100))
    assert any("3 ranks" in decision for decision in log.decisions)
    same(read_log(path, rank=3), range(100), range(30, 130))
    mean = read_log(path, rank="mean")
    np.testing.assert_allclose(mean.values, np.arange(100) + 40 / 3)
    with pytest.raises(LogError, match="no record of that rank"):
        read_log(path, rank=2)
    prefixed = "".join(f"[rank{rank}]: loss: {rank}.5 - step: {i}\n" for i in range(3) for rank in (0, 1))
    same(read_log(write(path, prefixed.encode()), rank=1), range(3), [1.5] * 3)


def test_iterations_of_epochs_are_numbered_through(tmp_path):
    text = "".join(f"Epoch: {e} Iteration: {i} loss: {e}.{i}\n" for e in range(3) for i in range(4))
    log = read_log(write(tmp_path / "run.log", text.encode()))
    assert log.iterations.tolist() == list(range(12))
    assert any("numbered through" in decision for decision in log.decisions)
    mmengine = "".join(
        f"mmengine - INFO - Epoch(train) [{e}][{i:>3}/100]  lr: 1e-2  loss: {e}.{i}\n"
        for e in (2, 3)
        for i in (50, 100)
    )
    assert read_log(write(tmp_path / "run.log", mmengine.encode())).iterations.tolist() == [150, 200, 250, 300]


def test_validation_lines_are_no_training(tmp_path):
    text = "Epoch [1/2], Iteration [1/9], Loss: 2.0\nTest: Iteration [1/9], Loss: 7.0\nValidation Loss: 8.0\n"
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, [1], [2.0])


@pytest.mark.parametrize(
    ("metric", "found", "value"),
    [
        ("loss", "loss", 1.75),
        ("decode.loss_ce", "decode.loss_ce", 1.4961),
        ("loss_ce", None, None),
        ("lr", "lr", 9.9891e-3),
    ],
)
def test_any_scalar_can_be_chosen(lines, tmp_path, metric, found, value):
    path = write(tmp_path / "run.log", (lines.mmengine_iter(50, 1.75) + "\n").encode())
    if found is None:
        with pytest.raises(LogError, match=r"decode\.loss_ce, aux\.loss_ce"):
            read_log(path, metric=metric)
        return
    log = read_log(path, metric=metric)
    assert log.metric == found
    assert log.values.tolist() == [value]
    assert "aux.loss_ce" in log.metrics


def test_smoothed_logs_are_recognised(lines, tmp_path):
    path = write(tmp_path / "run.log", (lines.mmengine_iter(50, 1.75) + "\n").encode())
    log = read_log(path)
    assert log.window == 10
    assert any("running mean" in decision for decision in log.decisions)
    path.write_text("log_processor = dict(by_epoch=False, window_size=1)\n" + lines.mmengine_iter(50, 1.75) + "\n")
    assert read_log(path).window == 1


def test_settings_are_found_in_the_header(lines, tmp_path):
    header = """
System environment:
    GPU 0: NVIDIA GeForce RTX 4090
    PyTorch: 2.7.1+cu118
Runtime environment:
    seed: 612048961
    Distributed launcher: pytorch
    GPU number: 4
train_dataloader = dict(
    batch_size=2,
optim_wrapper = dict(type='AmpOptimWrapper')
"""
    path = tmp_path / "run.log"
    path.write_text(header + lines.mmengine_iter(50, 1.75) + "\n")
    found = read_log(path).settings
    assert found | {
        "seed": "612048961", "world size": "4", "batch size": "2", "global batch": "8", "precision": "amp",
        "torch": "2.7.1+cu118", "device": "NVIDIA GeForce RTX 4090", "launcher": "pytorch",
    } == found  # fmt: skip


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


def test_runs_of_this_project_bring_their_provenance(make, tmp_path):
    with TraceStream(tmp_path / "trace.jsonl", 3) as stream:
        for i in range(3):
            stream.append(i, {"loss": 4.0 - i, "lr": math.nan}, "ab", {"param/x": 1.0})
    write_provenance(tmp_path / "provenance.json", make.provenance(seed=7))
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


def test_records_that_are_glued_together_by_racing_ranks(lines, tmp_path):
    """As several processes print them to one terminal: two records on a line, then an empty line."""
    text = "".join(
        lines.tcappdll_wide(i, float(i)) + lines.tcappdll_wide(i, 10.0 + i).replace("rank : 0", "rank : 3") + "\n\n"
        for i in range(100)
    )
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, range(100), range(100))
    assert log.ranks[3].values.tolist() == [10.0 + i for i in range(100)]


def test_several_losses_have_to_be_chosen_from(tmp_path):
    path = write(tmp_path / "run.log", b"Epoch [1/9], Step [1], Loss_D: 1.0, Loss_G: 0.5, D(x): 0.4\n")
    with pytest.raises(LogError, match="Loss_D, Loss_G"):
        read_log(path)
    same(read_log(path, metric="loss_g"), [1], [0.5])
