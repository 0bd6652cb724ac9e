"""How often a wrong kernel's cause is named rightly, and how small its call gets: the fault catalogue's kernels.

    python benchmarks/diagnosis.py --work-dir diagnosis

Each fault trains two shadowed iterations of a small case on the emulated device; where shadow ops don't see it there,
of the next case. A fault in kernels has its own operations shadowed, forward and backward, unless ``--all-operations``.
Then calls like the wrong ones are asked, as ``align verify`` does, and the worst of them is made smaller, as ``align
shrink`` does. All that stays in the work folder, so that a second call diagnoses it anew and trains only what is
missing.

A cause is right where it names an operation that the fault is in and says what sets the struck calls apart: one of the
attributes that ``ATTRIBUTES`` allows, among those that it says the same calls have; none for a fault that strikes all
calls, or one layer by chance. The attributes were written from the catalogue's own descriptions, before any diagnosis
was looked at. ``--unseen`` takes the faults of ``unseen_faults.py`` in place of the catalogue's: they were written when
the diagnosis was finished, and it has not been changed since.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from unseen_faults import UNSEEN, UNSEEN_ATTRIBUTES

from harness.devices.choice import choose_device
from harness.devices.device_opening import open_device
from harness.lab.faults.catalogue import FAULTS
from harness.lab.faults.fault import Fault
from harness.recording.clock import set_iteration
from harness.running.cases import find_case, load_config, small_cases
from harness.running.experiment import run_experiment
from harness.running.folder import REPRODUCTIONS, shadow_files
from harness.running.order import EAGER, Order
from harness.shadow.evidence.cause import Cause
from harness.shadow.evidence.part import Part
from harness.shadow.files.check_stream import read_shadow
from harness.shadow.judging.diagnosis.causes import find_causes
from harness.shadow.probing.follow_up import ask_again, shrink_call
from harness.store.atomic import write_text
from harness.store.decoding import encode_value, read_value
from harness.values.errors import RunError

ATTRIBUTES: dict[str, tuple[tuple[str, ...], ...]] = {
    "conv-wgrad-rotated": (("dilation",),),
    "conv-wgrad-workspace-uncleared": (("dilation",),),
    "conv-bias-dropped": (("with bias",),),
    "conv-bias-by-sample": (("with bias",),),
    "conv-pads-with-edge": (("padding",), ("larger than 1×1",)),
    "conv-strided-pads-at-end": (("stride",),),
    "conv-wgrad-shuffled": (("larger than 1×1",), ("padding",)),
    "conv-packed-weights-stale": (("larger than 1×1",), ("padding",)),
    "conv-dgrad-strided-1x1-spread": (("stride", "1×1"), ("stride", "without padding")),
    "conv-dgrad-1x1-tail-unwritten": (("1×1",), ("multiple of 16",), ("without padding",)),
    "conv-winograd-10bit": (("3×3",), ("larger than 1×1",), ("padding",), ("dilation 1",)),
    "tail-column-unwritten": (("width", "multiple of"),),
    "tail-channel-unwritten": (("output channels", "multiple of"),),
    "sum-tail-unread": (("elements", "no multiple of 2"),),
    "index-overflow": (("more than 65536",), ("more than 32768",)),
    "bn-small-map-counts-padding": (("no multiple of 64",), ("no multiple of 32",)),
    "bn-scale-read-modulo-256": (("more than 256",),),
    "bn-backward-misreads-channels-last": (("channels-last",),),
    "softmax-counts-padding": (("no multiple of 4",),),
    "log-softmax-gradient-tail-unsummed": (("no multiple of 4",),),
    "bmm-reads-past-the-sum": (("no multiple of 16",),),
    "bmm-reads-as-contiguous": (("permuted",), ("isn't contiguous",)),
    "cat-reads-as-contiguous": (("channels-last",),),
    "add-into-view-lost": (("isn't one block",), ("isn't contiguous",), ("strided",)),
    "mul-broadcasts-first-sample": (("broadcast",),),
    "adaptive-pool-bins-floored": (("divide",),),
    "adaptive-pool-of-one-stride": (("divide",),),
    "bias-gradients-doubled": (("name bias",), ("1 axes",)),
    "weight-decay-skips-norms": (("1 axes",), ("name",)),
    "foreach-last-slot-skipped": (("every 64th",), ("every 128th",)),
    **UNSEEN_ATTRIBUTES,
}
"""Fault → each way to say what sets the struck calls apart, as words that all have to stand in it."""


@dataclass(frozen=True)
class Answer:
    """What was said of a fault.

    Args:
        fault: which.
        case: where it was seen; empty where it was seen nowhere.
        before: the causes that the training's calls alone tell.
        causes: all that were named.
        right: whether an operation of the fault's is named in the first cause.
        attribute: ``right``, ``wrong``, ``none is claimed`` where one was due, ``none`` where none is due.
        attribute_before: likewise of the training's calls alone.
        asked: calls that were asked afterwards.
        seconds: that asking them took.
        shrunk: what became of the worst call; None where it wasn't wrong alone.
    """

    fault: str
    case: str
    before: tuple[Cause, ...] = ()
    causes: tuple[Cause, ...] = ()
    right: bool = False
    attribute: str = ""
    attribute_before: str = ""
    asked: int = 0
    seconds: float = 0.0
    shrunk: Small | None = None


@dataclass(frozen=True)
class Small:
    """A call made smaller.

    Args:
        before: elements of its tensors.
        after: elements that are left.
        sizes: shapes of what is left.
        seconds: that it took.
        asked: calls.
    """

    before: int
    after: int
    sizes: str
    seconds: float
    asked: int


@dataclass(frozen=True)
class Kept:
    """What is kept of a fault beside its checks.

    Args:
        asked: calls that were asked afterwards.
        seconds: that asking them took.
        shrunk: what became of the worst call.
    """

    asked: int = 0
    seconds: float = 0.0
    shrunk: Small | None = None


def main() -> None:
    """Diagnose each fault of kernels and optimizers, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", help="whose name holds one of these; none: all")
    parser.add_argument("--work-dir", type=Path, default=Path("diagnosis"))
    parser.add_argument("--cases", nargs="+", default=[case.name for case in small_cases()])
    parser.add_argument("--all-operations", action="store_true", help="shadow operations that the fault isn't in, too")
    parser.add_argument("--seconds", type=float, default=60.0, help="to ask calls, and to make one smaller")
    parser.add_argument("--unseen", action="store_true", help="the faults of unseen_faults.py, not the catalogue's")
    parser.add_argument("--judge-only", action="store_true", help="train nothing, diagnose what is there")
    arguments = parser.parse_args()
    known = UNSEEN if arguments.unseen else tuple(FAULTS.values())
    chosen = [fault for fault in known if fault.strikes in {"kernel", "autograd", "optimizer"}]
    if arguments.faults:
        chosen = [fault for fault in chosen if any(part in fault.name for part in arguments.faults)]
    answers = []
    torch.set_num_threads(1)
    print("| fault | case | operation | attribute | without asking | first cause | smallest call |")
    print("|---|---|---|---|---|---|---|")
    for fault in chosen:
        answers.append(_answer(fault, arguments))
        print(_row(answers[-1]), flush=True)
    print(_summary(answers))


def _answer(fault: Fault, arguments: argparse.Namespace) -> Answer:
    for case in arguments.cases:
        checks = arguments.work_dir / f"{fault.name}.{case}.jsonl"
        asked, facts = checks.with_suffix(".asked.jsonl"), checks.with_suffix(".facts.json")
        if not checks.exists() and not arguments.judge_only:
            _train(fault, case, checks, arguments)
        if not checks.exists():
            continue
        record = read_shadow([checks])
        before = find_causes(record, record.tier)
        if before:
            kept = read_value(facts, Kept, RunError) if facts.exists() else Kept()
            causes = find_causes(record, record.tier, read_shadow([asked]) if asked.exists() else None)
            return Answer(
                fault.name,
                case,
                before,
                causes,
                _names_operation(fault, causes[0]),
                _judge(fault, causes[0]),
                _judge(fault, before[0]),
                kept.asked,
                kept.seconds,
                kept.shrunk,
            )
    return Answer(fault.name, "")


def _train(fault: Fault, name: str, checks: Path, arguments: argparse.Namespace) -> None:
    """Leave the checks of two shadowed iterations with the fault, and what was asked and made smaller afterwards."""
    case = find_case(name)
    order = Order(
        config=str(case.config),
        device="emulated",
        faults=(fault.name,),
        iterations=2,
        compile=EAGER,
        command="",
        shadow=(0, 1),
        shadow_tier=case.tier,
        shadow_ops=() if arguments.all_operations else _struck_operations(fault),
    )
    checks.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        device = open_device(choose_device("emulated"), "", (fault,))
        config = load_config(case.config, (), import_modules=True)
        try:
            run_experiment(order, case, config, device, (fault,), run)
        except Exception as failure:  # noqa: BLE001  # a fault may end a training in any way
            print(f"{fault.name} on {name}: {type(failure).__name__}: {failure}", file=sys.stderr)
            return
        asked = checks.with_suffix(".asked.jsonl")
        open_device(choose_device("emulated"), "", (fault,))  # as a process of its own has it
        set_iteration(0)
        began = time.perf_counter()
        if list((run / REPRODUCTIONS).glob("*.safetensors")):
            asked.unlink(missing_ok=True)
            ask_again(run / REPRODUCTIONS, asked, device.kind, arguments.seconds)
            seconds = time.perf_counter() - began
            shrunk = _shrink(run / REPRODUCTIONS, device.kind, arguments.seconds)
            kept = Kept(len(read_shadow([asked]).checks), seconds, shrunk)
            write_text(checks.with_suffix(".facts.json"), encode_value(kept))
        shutil.copy(shadow_files(run)[0], checks.with_suffix(".part"))
        checks.with_suffix(".part").replace(checks)


def _struck_operations(fault: Fault) -> tuple[str, ...]:
    """The fault's operations with their forward or backward; none, for all, where it isn't in kernels."""
    names = {_family(name) for name in fault.kernels()}
    known = {name.partition(".")[0] for name in dir(torch.ops.aten)}
    return tuple(
        sorted(name for name in known if _family(name) in names or _family(name.removesuffix("_data")) in names)
    )


def _shrink(folder: Path, device: str, seconds: float) -> Small | None:
    """The worst call that can be called alone, made smaller."""
    for path in sorted(folder.glob("*.safetensors"), key=lambda path: int(path.stem)):
        try:
            found = shrink_call(path, path.with_name("small.py"), device, seconds)
        except RunError:
            continue
        if found is not None:
            return Small(found.before, found.call.elements, found.call.sizes(), found.seconds, found.asked)
    return None


def _names_operation(fault: Fault, cause: Cause) -> bool:
    if fault.strikes == "optimizer" or not fault.in_kernels:
        return cause.part is Part.OPTIMIZER
    struck = {_family(name) for name in fault.kernels()}
    return any(_family(op) in struck for op in cause.ops)


def _family(op: str) -> str:
    """The operation without its overload, and with its backward."""
    return op.partition(".")[0].removesuffix("_").removesuffix("_backward").removeprefix("_").removesuffix("_forward")


def _judge(fault: Fault, cause: Cause) -> str:
    due = ATTRIBUTES.get(fault.name)
    if due is None:
        return "wrong" if cause.attribute else "none"
    if not cause.attribute and cause.wrong == cause.within and cause.asked.wrong == cause.asked.within:
        return "all calls struck"
    if not cause.attribute:
        hinted = any(all(word in hint for word in words) for words in due for hint in cause.equals)
        return "hinted" if hinted else "none is claimed"
    told = (cause.attribute, *cause.equals)
    return "right" if any(all(word in said for word in words) for words in due for said in told) else "wrong"


def _row(answer: Answer) -> str:
    if not answer.causes:
        return f"| {answer.fault} | — | not seen | | | | |"
    first = answer.causes[0]
    more = f" (and {len(answer.causes) - 1} more)" if len(answer.causes) > 1 else ""
    named = "right" if answer.right else first.ops[0]
    told = f"{first.sentence}; {first.evidence}{more}"
    small = "—" if answer.shrunk is None else f"{answer.shrunk.sizes}, of {answer.shrunk.before} elements"
    verdicts = f"{named} | {answer.attribute} | {answer.attribute_before}"
    return f"| {answer.fault} | {answer.case} | {verdicts} | {told} | {small} |"


def _summary(answers: Sequence[Answer]) -> str:
    seen = [answer for answer in answers if answer.causes]
    right = sum(answer.right for answer in seen)
    due = [answer for answer in seen if answer.fault in ATTRIBUTES and answer.attribute != "all calls struck"]
    named = sum(answer.attribute == "right" for answer in due)
    hinted = sum(answer.attribute == "hinted" for answer in due)
    undue = [answer for answer in seen if answer not in due]
    claimed = sum(answer.attribute == "wrong" for answer in undue)
    single = sum(len(answer.causes) == 1 for answer in seen)
    both = sum(answer.right and answer.attribute in {"right", "none", "all calls struck"} for answer in seen)
    slowest = max((answer.seconds for answer in seen), default=0.0)
    named_before = sum(answer.attribute_before == "right" for answer in due)
    small = [answer.shrunk for answer in seen if answer.shrunk is not None]
    typical = median([0.0, *(answer.seconds for answer in seen)])
    return (
        f"\n{len(seen)} of {len(answers)} faults are seen by shadow ops. Operation named rightly: {right} of "
        f"{len(seen)}. Attribute, where the struck calls have one and others lack it: {named} of {len(due)} named "
        f"({named_before} by the training's calls alone), {hinted} more hinted at; claimed where there is none: "
        f"{claimed} of {len(undue)}. Operation and attribute: {both} of {len(seen)}. One cause alone: {single}. Asking "
        f"took {typical:.2g} s in the median, {slowest:.2g} s at most.\n{_shrunk_words(small)}"
    )


def _shrunk_words(small: Sequence[Small]) -> str:
    if not small:
        return "No call was made smaller."
    before, after = median(each.before for each in small), median(each.after for each in small)
    return (
        f"{len(small)} wrong calls made smaller: {before:.0f} elements in the median before, {after:.0f} after; "
        f"{median(each.seconds for each in small):.2g} s in the median, {max(each.seconds for each in small):.2g} s at "
        f"most, {median(each.asked for each in small):.0f} calls."
    )


if __name__ == "__main__":
    main()
