"""What is read in bulk is what is read one by one, also where other lines stand between."""

import random

import pytest
from both_ways import require_read_alike

from harness.logs.choosing import choose_reader
from harness.logs.delimited import TABLE_FORMATS
from harness.logs.formats import FORMATS
from harness.logs.rows import JSON_FORMATS

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
