"""Every reader of files from outside, given files that are broken in every way: what becomes of it.

    python benchmarks/fuzz_readers.py [--inputs 100000] [--seed 0] [--only stream,result] [--keep DIR]

An input is a file as this project or the field writes it, mutated: bytes changed, cut, doubled or put in, lines
exchanged, and in JSON a value, a name or a whole part replaced by something that doesn't belong there. Counted are

- tracebacks: an exception that isn't the project's own error;
- hangs: more than two seconds of the processor for one file (they are of kilobytes);
- wrong acceptances: a reader gives a value that the file doesn't say. For what a checksum guards (a result, a
  baseline) that is any change of content that is accepted. For the other files of our own the value that was read is
  written again, and compared with what Python's ``json`` finds in the file, types included. A foreign log has no such
  guard and no second reader, so that its own count is of tracebacks and hangs alone; ``compare`` is asked about logs
  whose losses were raised by a half, and may not say PASS.

Exits with 1 where one of the counts isn't 0; ``--keep`` writes the inputs that were counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import reports
from harness.logs.compare import compare
from harness.logs.read import read_log
from harness.rules.gate import Gate
from harness.running.order import Order
from harness.running.told import Told
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.evidence.unchecked import Unchecked
from harness.shadow.files.check_stream import ShadowStream, read_shadow
from harness.shadow.files.reproduction_index import Index, IndexEntry, read_reproductions
from harness.shadow.judging.operations import judge_shadow, weigh_shadow
from harness.store.baselines import load_baseline, save_baseline
from harness.store.decoding import encode_value, plain_value, read_value
from harness.store.provenance_file import read_provenance, write_provenance
from harness.store.stream import TraceStream, read_stream
from harness.values.baseline import Baseline
from harness.values.errors import AlignmentError, RunError
from harness.values.provenance import Device, Provenance
from harness.values.result import Result
from harness.values.trace import StateTable, Trace
from harness.values.verdict import Status

SECONDS = 2.0

SHARES = {
    "stream": 0.2,
    "order": 0.14,
    "provenance": 0.14,
    "shadow": 0.14,
    "reproductions": 0.1,
    "error": 0.05,
    "result": 0.08,
    "baseline": 0.04,
    "log": 0.1,
    "compare": 0.01,
}


class SlowError(Exception):
    """An input took too long."""


class WrongError(Exception):
    """A reader gave what the file doesn't say."""


@dataclass(frozen=True)
class Reader:
    """A reader, with files that it reads.

    Args:
        samples: file's name → its content.
        read: reads the folder that the mutated files lie in; raises WrongError where it took what isn't there.
    """

    samples: dict[str, bytes]
    read: Callable[[Path], None]


def main(arguments: list[str] | None = None) -> int:
    """Mutate, read, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="of the readers, by name, with commas")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args(arguments)
    chosen = [name for name in SHARES if not asked.only or name in asked.only.split(",")]
    total: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, _alarm)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        readers = make_readers(Path(place) / "made")
        print("reader           inputs     read  refused  tracebacks  hangs  wrong")
        for name in chosen:
            inputs = max(1, round(asked.inputs * SHARES[name] / sum(SHARES[each] for each in chosen)))
            chance = random.Random(f"{asked.seed} {name}")  # noqa: S311  # no secret
            counts = fuzz(readers[name], inputs, chance, Path(place), name, asked.keep)
            total += counts
            _row(name, counts)
    _row("all", total)
    return 1 if total["tracebacks"] + total["hangs"] + total["wrong"] else 0


def fuzz(
    reader: Reader, inputs: int, chance: random.Random, place: Path, name: str, keep: Path | None = None
) -> Counter[str]:
    """Read so many mutated inputs, and count what became of them."""
    counts: Counter[str] = Counter()
    folder = place / "input"
    for number in range(inputs):
        shutil.rmtree(folder, ignore_errors=True)
        victim = chance.choice(sorted(reader.samples))
        for file, content in reader.samples.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(mutated(content, chance) if file == victim else content)
        became = _read(reader, folder)
        counts[became] += 1
        counts["inputs"] += 1
        if keep is not None and became not in {"read", "refused"}:
            shutil.copytree(folder, keep / f"{became}-{name}-{number}", dirs_exist_ok=True)
    return counts


def _read(reader: Reader, folder: Path) -> str:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        reader.read(folder)
    except AlignmentError as error:
        str(error).encode()
        return "refused"
    except SlowError:
        return "hangs"
    except WrongError as error:
        print(f"  wrong: {error}", file=sys.stderr)
        return "wrong"
    except Exception:  # noqa: BLE001  # what is counted
        print(f"  {traceback.format_exc(limit=-2)}", file=sys.stderr)
        return "tracebacks"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read"


def _alarm(*_: object) -> None:
    raise SlowError


def _row(name: str, counts: Counter[str]) -> None:
    widths = {"inputs": 8, "read": 8, "refused": 8, "tracebacks": 11, "hangs": 6, "wrong": 6}
    print(f"{name:14s} " + " ".join(f"{counts[each]:>{width}d}" for each, width in widths.items()), flush=True)


# -------------------------------------------------------------------------------------------------------- mutations

ODD = [
    *("null", "true", "false", "0", "-1", "0.9", "1.0", "-0.0", "1e400", "-1e400", "5e-324", "1.7976931348623157e308"),
    *("NaN", "Infinity", "-Infinity", '"nan"', '"inf"', '"-inf"', '"1.5"', '"0"', '""', '"x"', "[]", "{}", "[null]"),
    *("9007199254740993", "18446744073709551616", "-9223372036854775809", "1" + "0" * 400, "9" * 5000),
    *('"\\ud800"', '"\\u0000"', '"../x"', '"a\\u001b[31m"', '{"a": 1}', "[1, 2, 3]", "[" * 2000, "[" * 99 + "]" * 99),
]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file's content with one to three things changed."""
    before, wanted = content, chance.choice((1, 1, 1, 2, 3))
    while content == before or wanted > 0:
        change = chance.choice((_in_json, _in_json, _in_json, *BY_BYTES))
        with contextlib.suppress(ValueError, IndexError, RecursionError):  # no JSON, or nothing left to change
            content = change(content, chance)
            wanted -= 1
        content, wanted = (content, wanted) if content else (before, 1)
    return content


def _in_json(content: bytes, chance: random.Random) -> bytes:
    """A value, a name or a part of a document, or of one line, replaced, removed, doubled or added."""
    lines = content.decode("utf-8").splitlines(keepends=True)
    whole = content[:1] in b"{[" and len(lines) > 1 and len(lines[0].strip()) == 1
    place = 0 if whole else chance.randrange(len(lines))
    text = content.decode("utf-8") if whole else lines[place]
    document = json.loads(text)
    holders = list(_holders(document))
    if not holders:
        raise ValueError("no part")
    holder = chance.choice(holders)
    key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    what = chance.choice(("replace", "replace", "replace", "remove", "rename", "add", "repeat"))
    marks = {"@odd@": chance.choice(ODD)}
    if what == "replace":
        holder[key] = "@odd@"
    elif what == "remove":
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, holder[key] if what == "repeat" else "@odd@")
    elif what == "rename":
        holder[chance.choice(("x", "loss", "schema", str(key) + " "))] = holder.pop(key)
    elif what == "add":
        holder["added"] = "@odd@"
    else:
        holder["@twice@"] = "@odd@"
        marks["@twice@"] = json.dumps(key)
    changed = json.dumps(document, indent=1 if whole else None, ensure_ascii=False)
    for mark, value in marks.items():
        changed = changed.replace(json.dumps(mark), value)
    if whole:
        return (changed + "\n").encode("utf-8", "surrogatepass")
    lines[place] = changed + "\n"
    return "".join(lines).encode("utf-8", "surrogatepass")


def _holders(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        if value:
            yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)


def _flip(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def _digit(content: bytes, chance: random.Random) -> bytes:
    at = chance.choice([place for place, byte in enumerate(content) if chr(byte).isdigit()])
    return content[:at] + str(chance.randrange(10)).encode() + content[at + 1 :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _drop(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + content[at + chance.randrange(1, 200) :]


def _double(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    piece = content[at : at + chance.randrange(1, 300)]
    return content[:at] + piece * chance.choice((2, 3, 30)) + content[at + len(piece) :]


def _put_in(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    bits = (
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\n",
        b"\r\n",
        b",",
        b'"',
        b"\\",
        b"[" * 3000,
        b"nan",
        b"1_000",
    )
    return content[:at] + chance.choice(bits) + content[at:]


def _exchange(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


BY_BYTES = (_flip, _digit, _cut, _drop, _double, _put_in, _exchange)


# ---------------------------------------------------------------------------------------------------------- readers


def make_readers(folder: Path) -> dict[str, Reader]:
    """Every reader with its samples, which are written by our own writers into a folder."""
    folder.mkdir(parents=True)
    baseline, candidate, provenance = _baseline(), _trace(77), _provenance()
    samples = _small_files(folder, provenance)
    readers = {name: Reader({samples[name][0]: samples[name][1]}, read) for name, read in _SMALL.items()}
    save_baseline(folder / "baselines", baseline)
    files = {path.relative_to(folder / "baselines").as_posix(): path for path in (folder / "baselines").rglob("*.*")}
    texts = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    told = _told_baseline(baseline)

    def guarded_baseline(place: Path) -> None:
        if _told_baseline(load_baseline(place, "made_up", "cpu")) != told:
            raise WrongError("a baseline that was changed is read as whole")

    readers["baseline"] = Reader(texts, guarded_baseline)
    verdict = Gate(baseline, 20).judge(candidate, provenance)
    reports.write([Result(verdict, candidate, provenance, baseline, "align verify", 1.0)], folder / "report")
    result = (folder / "report" / "made_up" / "result.json").read_bytes()
    as_written = json.loads(result)

    def guarded_result(place: Path) -> None:
        reports.read_result(place / "result.json")
        if not _same(json.loads((place / "result.json").read_bytes()), as_written):
            raise WrongError("a result that was changed is read")

    readers["result"] = Reader({"result.json": result}, guarded_result)
    logs = _logs()
    readers["log"] = Reader(logs, lambda place: _each_log(place, logs))
    readers["compare"] = Reader({"a.csv": logs["a.csv"]}, _raised)
    return readers


def _each_log(place: Path, logs: dict[str, bytes]) -> None:
    changed = next((name for name, content in logs.items() if (place / name).read_bytes() != content), "a.csv")
    read_log(place / changed)


def _raised(place: Path) -> None:
    """A log beside itself with every loss from some iteration on a half too high, whatever else is broken in it."""
    series = read_log(place / "a.csv").series
    values = series.values
    higher = np.where(np.arange(len(values)) >= 5, 1.5 * values, values)
    rows = [f"{i},{v!r}" for i, v in zip(series.iterations.tolist(), higher.tolist(), strict=True)]
    (place / "b.csv").write_text("\n".join(["step,loss", *rows]) + "\n")
    status = compare(place / "a.csv", place / "b.csv").verdict.status
    if status is Status.PASS and (higher != values).any():
        raise WrongError("losses that are a half too high pass")


def _read_stream(place: Path) -> None:
    trace = read_stream(place / "trace.jsonl")
    lines = [json.loads(line) for line in _whole_lines(place / "trace.jsonl")]
    rows = [line for line in lines[1:] if "iteration" in line]
    for at, row in enumerate(rows):
        said = {name: trace.signals[name][at] for name in trace.signals if trace.has_value(name)[at]}
        names = set(row["signals"]) | {name for name in said if name.startswith("lr.")}  # of a group that parts later
        if (
            not _is(row["iteration"], int(trace.iterations[at]))
            or set(said) - names
            or row["batch"] != trace.batches[at]
        ):
            raise WrongError(f"row {at} of a stream says something else")
        if not all(_is_number(value, said[name]) for name, value in row["signals"].items()):
            raise WrongError(f"a number in row {at} of a stream is something else")
    if len(rows) != len(trace) or not _is(lines[0]["planned"], trace.planned) or lines[0]["schema"] not in {1, 2}:
        raise WrongError("a stream has other rows")


def _whole_lines(file: Path) -> list[bytes]:
    return file.read_bytes().rpartition(b"\n")[0].split(b"\n")


def _as_said(value: object, file: Path, part: Callable[[Any], Any] = lambda said: said) -> None:
    """What was read, written again, is what the file says; what it doesn't say has its default."""
    said, read = part(json.loads(file.read_bytes())), plain_value(value)
    said.pop("schema", None)
    if not _within(said, read):
        raise WrongError(f"{file.name} says something else")


def _read_order(place: Path) -> None:
    _as_said(Order.read(place / "order.json"), place / "order.json")


def _read_provenance(place: Path) -> None:
    _as_said(read_provenance(place / "provenance.json"), place / "provenance.json")


def _read_error(place: Path) -> None:
    told = read_value(place / "error.json", Told, RunError, schema=Told.SCHEMA)
    str(told.as_error()).encode()
    _as_said(told, place / "error.json")


def _read_reproductions(place: Path) -> None:
    found = read_reproductions(place)
    _as_said(read_value(place / "index.0.json", Index, RunError, schema=1), place / "index.0.json")
    if len(found) != len(json.loads((place / "index.0.json").read_bytes())["reproductions"]):
        raise WrongError("there are other reproductions")


def _read_shadow(place: Path) -> None:
    record = read_shadow([place / "shadow.0.jsonl"])
    for tier in ("fp32", "tf32"):
        judge_shadow(weigh_shadow(record, tier))
    lines = map(json.loads, _whole_lines(place / "shadow.0.jsonl"))
    said = [check for line in lines for check in line.get("checks", ())]
    read = [list(plain_value(check).values()) for check in record.checks]
    if not _within(said, read):
        raise WrongError("there are other shadow checks")


_SMALL: dict[str, Callable[[Path], None]] = {
    "stream": _read_stream,
    "order": _read_order,
    "provenance": _read_provenance,
    "error": _read_error,
    "reproductions": _read_reproductions,
    "shadow": _read_shadow,
}


def _within(said: Any, read: Any) -> bool:
    """Whether all that a file says is in what was read, with the same types."""
    if isinstance(said, dict):
        return isinstance(read, dict) and all(
            name in read and _within(value, read[name]) for name, value in said.items()
        )
    if isinstance(said, list):
        return isinstance(read, list) and len(said) == len(read) and all(map(_within, said, read))
    return _is_number(said, read) if _number(read) is not None else _is(said, read)


def _is(said: Any, read: Any) -> bool:
    return type(said) is type(read) and said == read


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.get(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _is_number(said: Any, read: Any) -> bool:
    """Equal as numbers; a whole number where a whole number was read."""
    one, other = _number(said), _number(read)
    if one is None or other is None or (type(read) is int and type(said) is not int):
        return False
    return one == other or (math.isnan(one) and math.isnan(other))


def _same(one: Any, other: Any) -> bool:
    return _within(one, other) and _within(other, one)


def _told_baseline(baseline: Baseline) -> str:
    runs = [*(run for runs in baseline.tiers.values() for run in runs), baseline.fp64]
    told = [
        [{name: values.tolist() for name, values in run.signals.items()}, run.batches, run.state.values.tolist()]
        for run in runs
        if run is not None
    ]
    return repr([told, list(baseline.tiers), plain_value(baseline.provenance), baseline.reason, baseline.recorded])


# ---------------------------------------------------------------------------------------------------------- samples


def _trace(seed: int, iterations: int = 20) -> Trace:
    chance = np.random.default_rng(seed)
    t = np.arange(iterations, dtype=np.int64)

    def noisy(values: Any) -> Any:
        return values * np.exp(1e-5 * chance.standard_normal(iterations))

    names = ("grad_norm", "update_norm", "param_norm", "bn_var_norm")
    signals = {"loss": noisy(2 * np.exp(-t / 40)), "lr": np.full(iterations, 0.01), **{n: noisy(3.0) for n in names}}
    norms = np.exp(1e-5 * chance.standard_normal((2, 2)))
    state = StateTable(np.array([0, 8]), ("param/a", "var/b"), norms)
    return Trace(t, signals, iterations, True, tuple(f"{i:032x}" for i in t), state)


def _provenance() -> Provenance:
    settings = {"model.type": "'ANN'", "optim_wrapper.optimizer.lr": "0.01"}
    device = Device("cpu", "a processor", build={"driver": "3.2.0"})
    return Provenance("made_up", settings, "ab" * 32, 0, "fp32", 1, 2, 20, device, versions={"torch": "2.13.0"})


def _baseline() -> Baseline:
    tiers = {"fp32": tuple(_trace(seed) for seed in range(5))}
    return Baseline("made_up", "cpu", tiers, _provenance(), None, "first", "2026-01-01T00:00:00+00:00")


def _small_files(folder: Path, provenance: Provenance) -> dict[str, tuple[str, bytes]]:
    with TraceStream(folder / "trace.jsonl", 6) as stream:
        for i in range(6):
            state = {"param/a": 1.5, "var/b": 2.0} if i in {0, 5} else None
            signals = {"loss": 2.5 / (i + 1), "lr": 0.01, "grad_norm": 1.0 if i else math.inf}
            signals |= {"lr.1": 0.1 + i} if i > 2 else {}
            groups = {0: {"lr": (0, 1)}, 3: {"lr": (0,), "lr.1": (1,)}}.get(i)
            stream.append(i, signals, f"ab{i}", state, {"loss/x": 1.0} if i == 5 else None, groups)
    with ShadowStream(folder / "shadow.0.jsonl", "tf32") as shadow:
        check = ShadowCheck(0, Part.FORWARD, "conv", "convolution", "output", 3, "float32", (2, 3), True, 1e-7, 1e-8)
        odd = replace(check, part=Part.PRECISION, error=math.inf, scale=math.nan, spread=9.0)
        for i in (0, 1):
            left = [Unchecked(i, 1, "mm", "m", "too large")]
            shadow.append(
                i, [check, odd], {"convolution": 3}, {"convolution": 2}, {"x": "why"}, ["nms"], {"sgd": 1}, left
            )
    write_provenance(folder / "provenance.json", provenance)
    Order("c.py", "cpu", options=("a=1",), shadow=(0, 1), command="align verify c.py").write(folder / "order.json")
    entries = tuple(IndexEntry(number, 0, "forward", "m", "mm", "output", "cut") for number in (1, 2))
    (folder / "index.0.json").write_text(encode_value(Index(entries), schema=1))
    (folder / "error.json").write_text(encode_value(Told("it fell over", "there", None, "less", None), schema=1))
    names = {
        "stream": "trace.jsonl",
        "shadow": "shadow.0.jsonl",
        "provenance": "provenance.json",
        "order": "order.json",
        "reproductions": "index.0.json",
        "error": "error.json",
    }
    return {kind: (name, (folder / name).read_bytes()) for kind, name in names.items()}


def _logs() -> dict[str, bytes]:
    """Logs as the field writes them."""
    losses = [round(2.5 * math.exp(-i / 30) + 0.01 * (i * 7 % 5), 4) for i in range(40)]
    port = "TCAPPDLL 2026-01-01 00:00:00.1 - Epoch: 0 Iteration: {i}  rank : 0  train.loss : {v}  train.ips : 1 imgs/s"
    iterations = "Iter(train) [{i:>5}/40000]  base_lr: 1e-2 lr: 1e-2  loss: {v}  decode.loss_ce: {v}"
    formats = {
        "a.csv": ("step,loss,lr\n", "{i},{v},0.01"),
        "port.log": ("", port),
        "mmengine.log": ("", f"2026/01/01 00:00:00 - mmengine - INFO - {iterations}"),
        "plain.log": ("", "Epoch [1/10], Iteration [{i}/100], Loss: {v}"),
        "scalars.json": ("", '{{"lr": 0.01, "loss": {v}, "iter": {i}, "step": {i}}}'),
    }
    logs = {}
    for name, (head, row) in formats.items():
        rows = "".join(row.format(i=i, v=v) + "\n" for i, v in enumerate(losses, 1))
        logs[name] = f"{head}{rows}".encode()
    history = [{"loss": v, "step": i} for i, v in enumerate(losses)]
    logs["trainer_state.json"] = json.dumps({"log_history": history}, indent=1).encode()
    logs["block.txt"] = "\n".join(["=== CUDA ===", *map(str, losses), "=== SDAA ===", *map(str, losses), ""]).encode()
    return logs


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(code)
