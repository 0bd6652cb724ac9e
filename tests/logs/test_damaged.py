"""Whatever befalls a log, what is read in bulk is what is read one by one: numbers, names, counts and errors."""

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.logs import forms
from harness.logs.choosing import choose_reader
from harness.logs.delimited import TABLE_FORMATS
from harness.logs.formats import FORMATS
from harness.logs.rows import JSON_FORMATS
from tests.logs.both_ways import require_read_alike

LINES = 140
SMALL = {"_FEWEST": 3, "_WORTH_LOOKING": 1, "_FIRST": 1500, "_MOST_TRIED": 20}
OTHERS = [
    b"", b"2024-01-01 INFO epoch 3 ended", b"val loss: 3.21 step 5", b"{'eval_loss': 2.0, 'epoch': 1.0}",
    b"| a | b / c: 3 = 4", b"  5%|5 | 3/600 [00:01<05:00,  1.97it/s]", b"{'loss': 2.0, 'epoch': 0.5, 'aux_loss': 3.0}",
    b"1,2,3,4", b"step: 7.5 rank 3",
]  # fmt: skip
NUMBERS = [
    b"0", b"00", b"1.0", b"-3", b"1e-05", b"1e5", b"1e400", b"nan", b"-inf", b"1,234", b"12,34", b"5.", b".5",
    b"7/9", b"1:2", b"99999999999999999999", b"0.1234567890123456789", b"1.5e-05e-07",
]  # fmt: skip
PARTS = [b"", b"0", b"7", b" ", b"  ", b"-", b".", b",", b"/", b":", b"_", b"x", b"1e3", b"12"]
ENDS = [b"\r", b"\r\n", b"\n\n", b"\n\r", b"\x0b"]
BYTES = b"0123456789.,:;-+eE /|[]{}()'\"=\t%_#abnifx\xe2\x00\r\x1b"

places = st.integers(0, 10**6)


def damage(kind, what=places, where=places):
    return st.tuples(st.just(kind), places, where, what)


damages = st.lists(
    st.one_of(
        *map(damage, ("cut", "doubled", "left out", "swapped", "spliced", "joined")),
        damage("other line", where=st.sampled_from(OTHERS)),
        damage("byte", st.sampled_from(list(BYTES))),
        damage("bytes in", st.binary(max_size=3)),
        damage("digit", st.sampled_from(list(b"0123456789"))),
        damage("number", st.sampled_from(NUMBERS)),
        damage("line end", st.sampled_from(ENDS)),
        damage("everywhere", st.sampled_from(PARTS)),
        damage("number everywhere", st.sampled_from(NUMBERS)),
    ),
    max_size=9,
)


@pytest.mark.parametrize("known", [*FORMATS, *JSON_FORMATS, *TABLE_FORMATS], ids=lambda known: known.name)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), drawn=damages)
def test_damaged_logs_are_read_in_bulk_as_one_by_one(known, tmp_path, monkeypatch, seed, drawn):
    for limit, value in SMALL.items():  # so that logs of a test's size have forms of both kinds
        monkeypatch.setattr(forms, limit, value)
    path = tmp_path / "run.log"
    path.write_bytes(damaged(written(known, path, random.Random(seed)), drawn))  # noqa: S311
    require_read_alike(path, monkeypatch)


def written(known, path, chance):
    """Lines as the format's example, with all numbers of the records drawn anew; the iterations count."""
    reader = choose_reader(f"{known.example}\n".encode(), "loss", path)
    example = known.example.encode().split(b"\n")
    records = [next(reader.read_line(line), None) for line in example]
    lines = [line for line, record in zip(example, records, strict=True) if record is None]
    some = chance.choice([0.0, 0.2, 1.0])  # of the numbers beside the record's own that change
    first = chance.choice([1, 90, 998])
    for number in range(LINES):
        for line, record in zip(example, records, strict=True):
            if record is not None:
                counts = {place for name, place in record.places.items() if name in ("iteration",)}
                counts = counts or {place for name, place in record.places.items() if name == "epoch"}
                wanted = {place for name, place in record.places.items() if name in record.values}
                lines.append(redrawn(line, chance, counts, wanted, first + number, some))
    return lines


def redrawn(line, chance, counts, wanted, number, some):
    def new(match):
        if match.start() in counts:
            return b"%d" % number
        text = match[0]
        if match.start() not in wanted and chance.random() >= some:
            return text
        kind = chance.random()
        if b"." not in text and match.start() not in wanted:
            width = len(text) if kind < 0.8 else chance.randrange(1, 5)
            return b"".join(b"%d" % chance.randrange(10) for _ in range(width))
        if kind < 0.6:
            return b"%.*f" % (len(text.partition(b".")[2]) or 1, 9 * chance.random())
        return repr(chance.choice([1, 10, 1000, 1e-4, 1e-6, -1]) * chance.random()).encode()

    return re.sub(rb"(?<![\w.])\d+(?:\.\d+)?(?![\w]|\.\d)", new, line)


def damaged(lines, drawn):  # noqa: C901  # a branch a kind of damage
    """The log's bytes, with what was drawn done to its lines, one after the other."""
    lines = list(lines)
    ends = {}
    for kind, drawn_at, where, what in drawn:
        at = drawn_at % len(lines)
        line = lines[at]
        where = where if isinstance(where, bytes) else where % (len(line) + 1)  # noqa: PLW2901
        if kind == "cut":
            first, last = sorted((where, what % (len(line) + 1)))
            lines[at] = line[:first] + (line[last:] if what % 3 else b"")
        elif kind == "doubled":
            lines.insert(at, line)
        elif kind == "left out" and len(lines) > 2:
            lines.pop(at)
        elif kind == "swapped":
            other = what % len(lines)
            lines[at], lines[other] = lines[other], line
        elif kind == "other line":
            lines.insert(at, where)
        elif kind == "byte":
            lines[at] = line[:where] + bytes([what]) + line[where + 1 :]
        elif kind == "bytes in":
            lines[at] = line[:where] + what + line[where:]
        elif kind in ("digit", "number"):
            lines[at] = with_number(line, where, bytes([what]) if kind == "digit" else what, whole=kind == "number")
        elif kind == "spliced":
            other = lines[what % len(lines)]
            lines[at] = line[:where] + other[where:]
        elif kind == "joined" and at + 1 < len(lines):
            lines[at] = line + lines.pop(at + 1)
        elif kind == "line end":
            ends[at] = what
        elif kind == "everywhere":
            lines = [line[:where] + what + line[where + (at % 2) :] for line in lines]
        elif kind == "number everywhere":
            lines = [with_number(line, where, what, whole=True) for line in lines]
    return b"".join(line + ends.get(number, b"\n") for number, line in enumerate(lines))


def with_number(line, where, new, *, whole):
    """A line with its next number from a place on, or a digit of it, replaced."""
    found = re.compile(rb"\d[\d.]*" if whole else rb"\d").search(line, where)
    return line[: found.start()] + new + line[found.end() :] if found else line
