import gzip
import math
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.logs import read as reading
from harness.logs import read_log
from harness.logs.formats import FORMATS as FORMATS_OF_LINES
from harness.logs.formats import LineFormat
from harness.values.errors import LogError
from tests.logs.written_logs import same, write

FORMATS = (
    "tcappdll_wide", "tcappdll_narrow", "tcappdll_prefixed", "tcappdll_twice", "mmengine_iter", "mmengine_epoch",
    "epoch_only", "bracketed", "dashed", "bare_pair", "step_last", "dict_print", "imagenet", "csv", "tsv",
    "scalars_json", "json_document",
)  # fmt: skip

anything = st.floats(width=64) | st.floats(0, 20).map(lambda v: round(v, 4)) | st.integers(-5, 9).map(float)
traces = st.lists(st.tuples(st.integers(0, 99_999), anything), min_size=1, max_size=150, unique_by=lambda pair: pair[0])
relaxed = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
    one_by_one = LineFormat.read_line
    mmengine = next(known for known in FORMATS_OF_LINES if known.name == "mmengine text")
    monkeypatch.setattr(reading, "choose_reader", lambda *_: mmengine)  # finding the format out reads some lines, too
    monkeypatch.setattr(LineFormat, "read_line", lambda self, line: read.append(line) or one_by_one(self, line))
    for metric in ("loss", None):
        read.clear()
        same(read_log(path, metric=metric), range(500), [1.5 + i / 1000 for i in range(500)])
        assert len(read) < 20


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
