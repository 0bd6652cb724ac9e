"""How fast a large log of each known format is read, against `re.findall` of its loss over the whole text.

    python benchmarks/log_parsing.py [--megabytes 20] [--rounds 3] [--formats NAME …] [--all-digits]

A log is the format's own example, written again and again with its iteration and its loss changed; with `--all-digits`
with every metric changed that is no whole number, and printed as Python prints it, so that few lines are of one width.
Each round reads it both ways in processes of their own, one right after the other; what is compared is the ratio of a
round, because machines are shared. `findall` looks for the loss alone, as the field's scripts do; `read_log` returns
each loss with its iteration, epoch and rank, and decides the format.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness.logs.choosing import choose_reader
from harness.logs.delimited import TABLE_FORMATS
from harness.logs.formats import FORMATS
from harness.logs.records import LineReader
from harness.logs.rows import JSON_FORMATS

_READ = """
import json, resource, sys, time
from harness.logs import read_log
start = time.process_time()
log = read_log(sys.argv[1])
seconds = time.process_time() - start
print(json.dumps([seconds, len(log), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
_FIND = """
import json, re, resource, sys, time
start = time.process_time()
found = re.findall(sys.argv[2], open(sys.argv[1]).read())
seconds = time.process_time() - start
print(json.dumps([seconds, len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
_NUMBER = r"([-+\d.eE]+)"


def main() -> None:
    """Measure, and print a line a format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="+", default=[])
    parser.add_argument("--all-digits", action="store_true")
    arguments = parser.parse_args()
    print(f"{'format':<62} {'records':>9} {'read_log':>9} {'findall':>9} {'ratio':>6} {'MB/s':>6} {'memory':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for known in [*FORMATS, *JSON_FORMATS, *TABLE_FORMATS]:
            if arguments.formats and not any(name in known.name for name in arguments.formats):
                continue
            path = Path(folder) / "run.log"
            reader = choose_reader(f"{known.example}\n".encode(), "loss", path)
            if reader is None:
                raise SystemExit(f"no reader takes the example of {known.name}")
            pattern = write_log(path, reader, known.example, int(arguments.megabytes * 1e6), arguments.all_digits)
            rounds = [(measure(_READ, path), measure(_FIND, path, pattern)) for _ in range(arguments.rounds)]
            read, find = rounds[-1]
            ratio = statistics.median(one[0] / other[0] for one, other in rounds)
            rate = path.stat().st_size / 1e6 / read[0]
            told = "" if read[1] == find[1] else f"  findall found {find[1]:,}"
            print(
                f"{known.name[:62]:<62} {read[1]:>9,} {read[0]:>7.2f} s {find[0]:>7.2f} s {ratio:>6.2f} {rate:>6.0f} "
                f"{read[2]:>4.0f} MB{told}",
                flush=True,
            )


def write_log(path: Path, reader: LineReader, example: str, size: int, all_digits: bool = False) -> str:
    """A log of about a size, from an example whose iteration and loss are changed; returns the pattern of its loss.

    With all digits every metric is changed that is no whole number, and printed with as many as it has. Where they
    stand in the example its own reader says.
    """
    rng = random.Random(0)  # noqa: S311  # made-up numbers
    records = [(line, next(reader.read_line(line.encode()), None)) for line in example.split("\n")]
    known = [(line, record) for line, record in records if record is not None]
    numbered, values = known[-2:] if len(known) > 1 else (known[-1], known[-1])
    line, record = values
    loss = next(name for name in (*reader.losses, *record.values) if name in record.values)
    at = record.places[loss]
    changed = {loss: end_of(line, at)}
    if all_digits:
        spans = {name: end_of(line, start) for name, start in record.places.items() if name in record.values}
        changed |= {name: span for name, span in spans.items() if "." in line[slice(*span)]}
    step = next((name for name in ("iteration", "epoch") if name in numbered[1].places), None)
    above = "" if numbered is values else numbered[0]
    counted: dict[str, tuple[int, int]] = {} if step is None else {step: end_of(numbered[0], numbered[1].places[step])}
    with path.open("w") as file:
        file.writelines(f"{text}\n" for text, one in records if one is None)
        written = number = 0
        while written < size:
            number += 1
            new = {name: 1 + 8 * rng.random() for name in changed}
            texts = {name: repr(value) if all_digits else f"{value:.4f}" for name, value in new.items()}
            if above:
                text = f"{put(above, counted, {str(step): str(number)})}\n{put(line, changed, texts)}"
            else:
                text = put(line, changed | counted, texts | {str(step): str(number)})
            written += file.write(f"{text}\n")
    before = re.split(r"\d", line[:at])[-1][-24:]
    if before in ("", ",", '","', " ", "\t"):  # a table: the loss has no name in its row
        return rf"(?m)^(?:[^,\n]*,){{{line[:at].count(',')}}}\"?{_NUMBER}"
    return re.escape(before) + _NUMBER


def end_of(line: str, start: int) -> tuple[int, int]:
    """Where a number of an example begins and ends."""
    found = re.compile(r"\s*([-+\d.eE]*\d)").match(line, start)
    return found.span(1) if found else (start, start)


def put(text: str, places: Mapping[str, tuple[int, int]], new: Mapping[str, str]) -> str:
    """A text with the parts at some places replaced."""
    for name, (start, end) in sorted(places.items(), key=lambda place: -place[1][0]):
        text = text[:start] + new[name] + text[end:]
    return text


def measure(program: str, *arguments: object) -> tuple[float, int, float]:
    """Processor seconds, records and peak memory in MB of a program in a process of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])  # noqa: S603
    seconds, records, memory = json.loads(done.stdout)
    return seconds, records, memory


if __name__ == "__main__":
    main()
