"""Files that once ended in a traceback: each is a value or an error that says where, and no judge falls over it."""

import json
from pathlib import Path

import pytest

from harness.logs.read import read_log
from harness.running.order import Order
from harness.running.told import Told
from harness.shadow.files.check_stream import read_shadow
from harness.shadow.files.reproduction_index import read_reproductions
from harness.shadow.judging.operations import judge_shadow, weigh_shadow
from harness.store.decoding import read_value
from harness.store.provenance_file import read_provenance
from harness.store.stream import follow_stream, read_stream
from harness.values.errors import RunError, TraceError

BROKEN = Path(__file__).parents[1] / "data" / "broken"


def named(kind):
    return sorted(path.name for path in BROKEN.glob(f"{kind}-*.bin"))


@pytest.mark.parametrize("name", named("shadow"))
def test_shadow_checks(name):
    with pytest.raises(RunError) as caught:
        read_shadow([BROKEN / name])
    assert name in str(caught.value.where)


@pytest.mark.parametrize("name", named("stream"))
def test_streams(name):
    with pytest.raises(TraceError) as caught:
        read_stream(BROKEN / name)
    assert f"{name}:" in str(caught.value.where)


@pytest.mark.parametrize("name", named("repro"))
def test_reproductions(name, tmp_path):
    (tmp_path / "index.0.json").write_bytes((BROKEN / name).read_bytes())
    with pytest.raises(RunError) as caught:
        read_reproductions(tmp_path)
    assert "index.0.json" in str(caught.value.where)


def test_a_check_at_the_edge_of_what_is_allowed_is_judged(tmp_path):
    fields = ["iteration", "part", "module", "op", "tensor", "call", "dtype", "shape", "contiguous"]
    fields += ["error", "projection", "scale", "along", "terms", "spread", "operand"]
    head = {"schema": 1, "tier": "tf32", "fields": fields}
    numbers = [["nan", "nan", "nan", "nan", 0, "nan", 2**53], ["inf", "-inf", "inf", "-inf", "inf", -1, 0]]
    numbers += [[1e308, -1e308, 1e308, 1e308, 1e308, 0, 23], [-1, 5e-324, 0, 0, 5e-324, 5e-324, 10]]
    parts = ["forward", "backward", "optimizer", "buffers", "loss", "transfer", "random", "reduce", "precision"]
    checks = [
        [0, part, "m", op, tensor, -1, dtype, [0], True, *each]
        for each in numbers
        for part in parts
        for op, tensor in (("mm", "output"), ("dropout", "distribution"))
        for dtype in ("float32", "float16", "int64")
    ]
    row = {"iteration": 0, "calls": {"mm": 2}, "checked": {"mm": 2}, "skipped": {}, "checks": checks}
    (tmp_path / "a").write_text(f"{json.dumps(head)}\n{json.dumps(row)}\n")
    record = read_shadow([tmp_path / "a"])
    assert len(record.checks) == len(checks)
    for tier in ("fp32", "tf32", "fp16", "bf16", "sdaa"):
        assert judge_shadow(weigh_shadow(record, tier))


@pytest.mark.parametrize("content", [b"[" * 100_000, b"", b"[]", b"3", b'{"what": 3}', b'{"a": {"b":' * 60_000])
def test_what_a_child_or_another_machine_may_leave(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(TraceError):
        read_provenance(path)
    with pytest.raises(RunError):
        Order.read(path)
    with pytest.raises(RunError):
        read_value(path, Told, RunError, schema=1)


def test_a_line_that_is_no_json_is_an_error_to_the_one_who_follows(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"schema":1,"planned":3}\nnot json\n')
    with pytest.raises(TraceError) as caught:
        follow_stream(path, 0)
    assert str(caught.value.where) == f"{path}:2"


@pytest.mark.parametrize("name", [b"\\ud800", b"\xed\xa0\x80", b"\\ud83d\\ude00", b"\xf0\x9f\x98\x80"])
def test_a_log_with_a_name_that_is_no_text_is_read_without_it(tmp_path, name):
    rows = [b'{"loss": 1.0, "step": %d, "%s": 2.0}\n' % (step, name) for step in range(30)]
    (tmp_path / "scalars.json").write_bytes(b"".join(rows))
    log = read_log(tmp_path / "scalars.json")
    assert len(log.series) == 30
    repr(log).encode()
