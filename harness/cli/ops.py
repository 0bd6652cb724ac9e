"""`align ops`: the operations of a training step, each held against float64 on the candidate's own host."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from harness.cli.model_ops import add_model_options, shadow_model
from harness.cli.options import (
    add_device_options,
    add_forced_option,
    add_options,
    add_timeout_options,
    chosen_device,
    reproduction,
    run_folder,
    timeouts_of,
)
from harness.cli.progress import run_progress
from harness.cli.terminal import (
    STATUS_STYLES,
    announce,
    open_console,
    plain_table,
    print_error,
    shadow_lines,
)
from harness.language import say
from harness.shadow.judging.error_model import SHADOW_TIERS
from harness.store.atomic import write_text
from harness.values.errors import RunError, UsageError
from harness.values.verdict import Status

if TYPE_CHECKING:
    from harness.shadow.evidence.checks import Coverage, ShadowRecord
    from harness.shadow.ops_listing import OpRow
    from harness.values.result import Result

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "ops",
        help="list the operations of a training step: error, effective precision, fallback, coverage",
        description="Runs one step of CASE, or of a MODEL that is no case, on the candidate device, computes each "
        "operation again in float64 on the host, and lists them: how often called, how far off, how precise, and which "
        "the device left to its host.",
        epilog="The exit code is that of the verdict of shadow ops, and with --forced of hard inputs, alone: 0 PASS, "
        "1 FAIL, 2 ERROR, 3 INCONCLUSIVE.",
    )
    parser.add_argument("case", metavar="CASE", nargs="?", help="a case's name, or the path of a config")
    add_model_options(parser)
    add_device_options(parser)
    add_options(parser)
    parser.add_argument("--tier", default="", help="the precision tier to judge at (default: as the case says)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write every distinct tensor here: .csv, or .json with the coverage"
    )
    add_forced_option(parser)
    add_timeout_options(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Shadow the first step, or as many as asked for, and list its operations."""
    from harness.shadow.judging.operations import weigh_shadow
    from harness.shadow.ops_listing import list_operations, list_tensors

    _require(arguments)
    choice = chosen_device(arguments)
    announce(choice)
    result, record, forced, tier = (shadow_model if arguments.model else _shadowed)(str(choice), arguments)
    if record is None:
        print_error(RunError("no operation could be listed", observed=result.verdict.reason))
        print(result.output)
        return Status.ERROR.exit_code
    evidence = weigh_shadow(record, tier)
    tensors = list_tensors(record, evidence)
    _show(list_operations(tensors, evidence.coverage), evidence.coverage, result)
    if forced is not None:
        _show_forced(forced, tier)
    if arguments.out:
        _write(arguments.out, tensors, evidence.coverage)
    return result.verdict.status.exit_code


def _require(arguments: argparse.Namespace) -> None:
    if bool(arguments.case) == bool(arguments.model):
        raise UsageError(
            "the operations of one training are listed: of a case, or of a model",
            observed=f"{arguments.case} and --model {arguments.model}" if arguments.case else "neither",
            allowed="CASE, or --model MODEL",
            hint="align ops ann_small",
        )
    if arguments.tier and arguments.tier not in SHADOW_TIERS:
        allowed = ", ".join(SHADOW_TIERS)
        raise UsageError("no such precision tier", where="--tier", observed=arguments.tier, allowed=allowed)
    if arguments.out and arguments.out.suffix not in {".csv", ".json"}:
        raise UsageError("no such format", where="--out", observed=arguments.out, allowed="a .csv or .json file")


def _shadowed(
    device: str, arguments: argparse.Namespace
) -> tuple[Result, ShadowRecord | None, ShadowRecord | None, str]:
    """The verdict of shadow ops alone, every check, those with hard inputs, and the tier; None where there are none."""
    from harness.running.cases import find_case
    from harness.running.folder import FORCED, shadow_files
    from harness.running.order import EAGER, Order
    from harness.running.verification import verify_alone
    from harness.shadow.files.check_stream import read_shadow

    case = find_case(arguments.case, arguments.cfg_options)
    steps = arguments.iterations or 1
    order = Order(
        config=case.address,
        device=device,
        profile=arguments.profile,
        faults=tuple(arguments.fault),
        options=tuple(arguments.cfg_options),
        iterations=steps,
        amp=arguments.amp,
        compile=EAGER,
        command=reproduction(),
        shadow=tuple(range(steps)),
        shadow_tier=arguments.tier or case.tier,
        shadow_forced=arguments.forced,
    )
    with run_folder(arguments.work_dir, case.name) as folder, run_progress(case.name, steps) as advance:
        result = verify_alone(
            case,
            order,
            folder=folder,
            timeouts=timeouts_of(arguments),
            on_iteration=advance,
            on_check=advance.checked,
        )
        if result.verdict.status is Status.ERROR:
            return result, None, None, order.shadow_tier
        forced = read_shadow([folder / FORCED]) if arguments.forced else None
        return result, read_shadow(shadow_files(folder)), forced, order.shadow_tier


def _show(rows: Sequence[OpRow], coverage: Coverage, result: Result) -> None:
    from harness.shadow.ops_listing import on_device

    console = open_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    left = {"operation", "dtype", "family", "runs on", "worst at"}
    for name in (
        *("operation", "dtype", "calls", "family", "error", "allowed", "projection", "allowed", "× bound", "bits"),
        *("runs on", "worst at"),
    ):
        table.add_column(say(name), justify="left" if name in left else "right")
    for row in rows:
        table.add_row(*_cells(row), style="red" if row.violated else None)
    console.print(table)
    for op, why in coverage.skipped.items():
        console.print(Text(say(f"not checked: {op}, {why}")))
    device, operations, device_calls, calls = on_device(coverage)
    rate = (
        f"coverage rate: {device} of {operations} operations run on the device itself "
        f"({device / max(1, operations):.1%}), {device_calls} of {calls} calls ({device_calls / max(1, calls):.1%}); "
        f"fallen back to the host: {', '.join(coverage.fallen_back) or 'none'}"
    )
    console.print(say(rate))
    for line in shadow_lines(result):
        console.print(Text(say(line)))
    status = result.verdict.status
    console.print(
        Text(status.value, style=STATUS_STYLES[status]) + Text(f" {result.case}: {say(result.verdict.reason)}")
    )


def _show_forced(record: ShadowRecord, tier: str) -> None:
    """Where the device is off with hard inputs, each with its worst tensor, and what could not be compared."""
    from harness.shadow.judging.hard_input_rule import off_with_hard_inputs
    from harness.shadow.judging.operations import weigh_shadow

    evidence = weigh_shadow(record, tier)
    console = open_console()
    calls, checked = sum(record.coverage.calls.values()), sum(record.coverage.checked.values())
    operations = len({check.op for check in record.checks})
    off = off_with_hard_inputs(evidence)
    compared = (
        f"hard inputs: {operations} operations, {checked} of {calls} calls compared; "
        f"{len(off)} of {len(evidence.rows)} tensors further from float64 than at {tier}"
    )
    console.print(say(compared))
    table = plain_table(
        *("inputs", "operation", "tensor", "error", "allowed", "projection", "allowed "),
        left={"inputs", "operation", "tensor"},
    )
    for row in off:
        numbers = (_short(row.error), _short(row.allowed), _short(row.projection, signed=True))
        table.add_row(row.module, row.op, row.tensor, *numbers, _short(row.allowed_projection))
    if off:
        console.print(table)
    for what, why in record.coverage.skipped.items():
        name, _, kind = what.partition(", ")
        shown = f"{name} ({kind})" if kind else name
        console.print(Text(say(f"not compared: {shown}, {say(why)}")))


def _cells(row: OpRow) -> tuple[str, ...]:
    bits = f"{row.bits:.1f} of {row.expected}" if row.bits is not None else "—"
    projection = _short(row.allowed_projection) if math.isfinite(row.allowed_projection) else "—"
    family = row.family if row.family != row.op else "—"
    where = ", ".join(filter(None, (row.module, row.tensor)))
    return (
        *(row.op, row.dtype, str(row.calls), family, _short(row.error), _short(row.allowed)),
        *(_short(row.projection, signed=True), projection, _short(row.times), bits),
        *("—" if row.on_host is None else say("host" if row.on_host else "device"), where),
    )


def _short(value: float, *, signed: bool = False) -> str:
    return "0" if value == 0 else f"{value:+.2g}" if signed else f"{value:.2g}"


def _write(path: Path, rows: Sequence[OpRow], coverage: Coverage) -> None:
    from harness.shadow.ops_listing import render_csv, render_json

    write_text(path, render_csv(rows) if path.suffix == ".csv" else render_json(rows, coverage))
    open_console().print(say(f"every distinct tensor: {path}"))
