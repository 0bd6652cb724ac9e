"""What is read in bulk is what is read one by one, also where other lines stand between."""

import random

import pytest

from harness.logs import forms
from harness.logs.choosing import choose_reader
from harness.logs.delimited import TABLE_FORMATS
from harness.logs.formats import FORMATS
from harness.logs.rows import JSON_FORMATS
from tests.logs.both_ways import require_read_alike

OTHERS = [
    "", "2024-01-01 INFO epoch 3 ended", "val loss: 3.21 step 5", "{'eval_loss': 2.0, 'epoch': 1.0}",
    "| a | b / c: 3 = 4", "  5%|5 | 3/600 [00:01<05:00,  1.97it/s]", "{'loss': 2.0, 'epoch': 0.5, 'aux_loss': 3.0}",
]  # fmt: skip


@pytest.mark.parametrize("known", [*FORMATS, *JSON_FORMATS, *TABLE_FORMATS], ids=lambda known: known.name)
def test_bulk_and_one_by_one_read_the_same(known, tmp_path, monkeypatch):
    chance = random.Random(known.name)  # noqa: S311
    path = tmp_path / "run.log"
    lines = written(known, path, 120)
    join = not getattr(known, "above", None) and not getattr(known, "follows", False)  # one record a line, by itself
    for disturbed in (False, True):
        path.write_text("\n".join(disturb(lines, chance, join=join) if disturbed else lines) + "\n")
        require_read_alike(path, monkeypatch)


def written(known, path, count):
    """Lines as the format's example, each with an iteration and a loss of its own."""
    reader = choose_reader(f"{known.example}\n".encode(), "loss", path)
    lines = [line for line in known.example.split("\n") if next(reader.read_line(line.encode()), None) is None]
    for number in range(1, count + 1):
        for line in known.example.split("\n"):
            if (record := next(reader.read_line(line.encode()), None)) is None:
                continue
            new = {name: f"{number}" for name in ("iteration", "epoch") if name in record.places}
            new = dict(list(new.items())[:1])
            new |= {name: f"{1 + number % 7}.{number:03d}" for name in record.values if name in record.places}
            for name, at in sorted(record.places.items(), key=lambda place: -place[1]):
                rest = line[at:].lstrip(" ")
                end = len(rest) - len(rest.lstrip("0123456789.eE+-"))
                line = line[:at] + new.get(name, rest[:end]) + rest[end:]  # noqa: PLW2901
            lines.append(line)
    return lines


def disturb(lines, chance, *, join):
    """Some lines doubled, removed, moved, with others between them, or joined, as several processes may print them."""
    lines = list(lines)
    for _ in range(25):
        at = chance.randrange(1, len(lines) - 1)
        line, kind = lines[at], chance.choice([0, 2, 3, 4, 1] if join else [0, 2, 3, 4])
        if kind == 0:
            lines.insert(at, line)
        elif kind == 1:
            lines[at] = line + chance.choice(["", " "]) + lines.pop(at + 1)
        elif kind == 2:
            lines.pop(at)
        elif kind == 3:
            other = chance.randrange(1, len(lines))
            lines[at], lines[other] = lines[other], line
        else:
            lines.insert(at, chance.choice(OTHERS))
    return lines


WIDTHS = [
    *("0.5", "12.25", "3.123456789012345", "0.0001234567890123", "7", "0", "00.5", "-1.5", "1e-05", "4.9e-05", "2E+03"),
    *(
        "1.5e-5",
        "123456789.123",
        "1e400",
        "9" * 330,
        "9" * 30 + ".5",
        "nan",
        "inf",
        "-0.0",
        "1.",
        ".5",
        "1,234.5",
        "+2.5",
    ),
    *("1,234.5", "+2.5", "0x1", "1_000", "5%", "1.2.3", "1e", "e5", "-", "--1.0", " 3.5", "3.5 "),
]


@pytest.mark.parametrize("known", [*FORMATS, *JSON_FORMATS, *TABLE_FORMATS], ids=lambda known: known.name)
def test_numbers_of_all_widths_are_read_as_one_by_one(known, tmp_path, monkeypatch):
    """Most as Python prints them, so that hardly two lines have one length; some as numbers seldom are, or never."""
    chance = random.Random(known.name)  # noqa: S311
    path = tmp_path / "run.log"
    reader = choose_reader(f"{known.example}\n".encode(), "loss", path)
    for name, value in (
        ("_BLOCK", 1 << 13),
        ("_FIRST", 1 << 11),
        ("_FEWEST", 8),
        ("_MOST_MISSED", 0),
    ):  # of a log that is no mebibyte
        monkeypatch.setattr(forms, name, value)
    passes = []
    by_pattern = forms.LinePatterns.read
    monkeypatch.setattr(
        forms.LinePatterns, "read", lambda *words: passes.extend(found := list(by_pattern(*words))) or iter(found)
    )
    lines = []
    for line in written(known, path, 400):
        record = next(reader.read_line(line.encode()), None)
        places = [] if record is None else [record.places[name] for name in record.values if name in record.places]
        for at in sorted(places, reverse=True):
            rest = line[at:].lstrip(" ")
            end = len(rest) - len(rest.lstrip("0123456789.eE+-"))
            seldom = chance.random() < 0.03
            new = chance.choice(WIDTHS) if seldom else repr(chance.lognormvariate(0, 1 if chance.random() < 0.7 else 9))
            line = line[:at] + new + rest[end:]  # noqa: PLW2901
        lines.append(line)
    path.write_text("\n".join(lines) + "\n")
    require_read_alike(path, monkeypatch)
    if known.name != "Ultralytics text":  # what its bar leaves behind makes a part of a few lines of many kinds
        assert passes
