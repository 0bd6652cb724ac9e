"""How often a wrong kernel's cause is named rightly: the fault catalogue's kernels, on the emulated device.

    python benchmarks/diagnosis.py --work-dir diagnosis

Each fault trains two shadowed iterations of a small case; where shadow ops don't see it there, of the next case. Its
shadow checks stay in the work folder, so that a second call diagnoses them anew and trains only what is missing. A
cause is right where it names an operation that the fault is in and says what sets the struck calls apart: one of the
attributes that ``ATTRIBUTES`` allows, among those that it says the same calls have; none for a fault that strikes all
calls, or one layer by chance. The attributes were written from the catalogue's own descriptions, before any diagnosis
was looked at.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.lab.faults.catalogue import FAULTS
from harness.lab.faults.fault import Fault
from harness.running.cases import find_case, small_cases
from harness.running.folder import shadow_files
from harness.running.order import EAGER, Order
from harness.running.verification import verify_alone
from harness.shadow.evidence.cause import Cause
from harness.shadow.evidence.part import Part
from harness.shadow.files.check_stream import read_shadow
from harness.shadow.judging.diagnosis.causes import find_causes

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
}
"""Fault → each way to say what sets the struck calls apart, as words that all have to stand in it."""


@dataclass(frozen=True)
class Answer:
    """What was said of a fault.

    Args:
        fault: which.
        case: where it was seen; empty where it was seen nowhere.
        causes: all that were named.
        right: whether an operation of the fault's is named in the first cause.
        attribute: ``right``, ``wrong``, ``none is claimed`` where one was due, ``none`` where none is due.
        seconds: that the diagnosis took.
    """

    fault: str
    case: str
    causes: tuple[Cause, ...] = ()
    right: bool = False
    attribute: str = ""
    seconds: float = 0.0


def main() -> None:
    """Diagnose each fault of kernels and optimizers, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", help="whose name holds one of these; none: all")
    parser.add_argument("--work-dir", type=Path, default=Path("diagnosis"))
    parser.add_argument("--cases", nargs="+", default=[case.name for case in small_cases()])
    parser.add_argument("--judge-only", action="store_true", help="train nothing, diagnose what is there")
    arguments = parser.parse_args()
    chosen = [fault for fault in FAULTS.values() if fault.strikes in {"kernel", "autograd", "optimizer"}]
    if arguments.faults:
        chosen = [fault for fault in chosen if any(part in fault.name for part in arguments.faults)]
    answers = []
    print("| fault | case | operation | attribute | first cause |\n|---|---|---|---|---|")
    for fault in chosen:
        answers.append(_answer(fault, arguments.cases, arguments.work_dir, train=not arguments.judge_only))
        print(_row(answers[-1]), flush=True)
    print(_summary(answers))


def _answer(fault: Fault, cases: Sequence[str], folder: Path, *, train: bool) -> Answer:
    for case in cases:
        kept = folder / f"{fault.name}.{case}.jsonl"
        if not kept.exists() and train:
            _train(fault, case, kept)
        if not kept.exists():
            continue
        record = read_shadow([kept])
        began = time.perf_counter()
        causes = find_causes(record, record.tier)
        took = time.perf_counter() - began
        if causes:
            return Answer(fault.name, case, causes, _names_operation(fault, causes[0]), _judge(fault, causes[0]), took)
    return Answer(fault.name, "")


def _train(fault: Fault, name: str, kept: Path) -> None:
    """Leave the shadow checks of two iterations with the fault at ``kept``, from the iteration on where it strikes."""
    case = find_case(name)
    shadowed = (0, 1)
    order = Order(
        config=str(case.config),
        device="emulated",
        faults=(fault.name,),
        iterations=len(shadowed),
        compile=EAGER,
        command="",
        shadow=shadowed,
        shadow_tier=case.tier,
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        verify_alone(case, order, folder=run)
        written = shadow_files(run)
        if written:
            shutil.copy(written[0], kept.with_suffix(".part"))
            kept.with_suffix(".part").replace(kept)


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
    if not cause.attribute and cause.wrong == cause.within:
        return "all calls struck"
    if not cause.attribute:
        hinted = any(all(word in hint for word in words) for words in due for hint in cause.equals)
        return "hinted" if hinted else "none is claimed"
    told = (cause.attribute, *cause.equals)
    return "right" if any(all(word in said for word in words) for words in due for said in told) else "wrong"


def _row(answer: Answer) -> str:
    if not answer.causes:
        return f"| {answer.fault} | — | not seen | | |"
    first = answer.causes[0]
    more = f" (and {len(answer.causes) - 1} more)" if len(answer.causes) > 1 else ""
    named = "right" if answer.right else first.ops[0]
    told = f"{first.sentence}; {first.evidence}{more}"
    return f"| {answer.fault} | {answer.case} | {named} | {answer.attribute} | {told} |"


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
    return (
        f"\n{len(seen)} of {len(answers)} faults are seen by shadow ops. Operation named rightly: {right} of "
        f"{len(seen)}. Attribute, where the struck calls have one and others lack it: {named} of {len(due)} named, "
        f"{hinted} more hinted at; claimed where there is none: {claimed} of {len(undue)}. Operation and attribute: "
        f"{both} of {len(seen)}. One cause alone: {single}. The slowest diagnosis took {slowest:.2g} s."
    )


if __name__ == "__main__":
    main()
