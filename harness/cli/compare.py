"""`align compare`: judge logs that exist already. Nothing is run, and torch is not imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.console import shown
from harness.cli.options import add_language_option, count_argument, size_argument
from harness.cli.verify import worst
from harness.logs.limits import LIMITS, Limits
from harness.pairs.joining import SLICES
from harness.values.errors import UsageError

if TYPE_CHECKING:
    from harness.values.result import Result

__all__ = ["add_parser"]

_DESCRIPTION = """\
Judges the training log CAND against the training log REF. Nothing is run.

  align compare cuda.log sdaa.log                       two logs, of any formats
  align compare loss.txt                                a block file: === CUDA ===, numbers, === SDAA ===, numbers
  align compare export.csv --metric "a - loss" "b - loss"                two columns of one table
  align compare ref.log cand.log --repeat r1.log r2.log r3.log r4.log    healthy runs of the reference
  align compare cuda.log sdaa.log --out report          a page, result.json and JUnit XML
  align compare --pairs ports/ --out report             every pair of a folder, and an index
"""

_EPILOG = """\
The first line names what a person would see in the two curves; what was read of each file, the evidence and what to do
next follow, and the field's own rule.

what --legacy looks at: all common iterations, the last 50 (last50), the first 100 (first100), all but the first (skip1)
how --pairs finds sides: a name's part cuda, gpu, ref, reference or benchmark, and sdaa, npu, mlu, musa, rocm, hpu, xpu,
  tpu, xla, …, cand or candidate: ann.cuda.log beside ann.npu.log, cuda.log beside sdaa.log, annCuda.log beside
  annSdaa.log; block files; or a CSV list with the columns reference, candidate, and if wanted name, legacy, metric,
  rank
exit codes: 0 PASS · 1 FAIL · 2 ERROR or wrong usage · 3 INCONCLUSIVE
formats: docs/compare.md has them all; what isn't known is read by its names and numbers, and said to be guessed"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="judge two logs that exist already",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("reference", nargs="?", metavar="REF", help="the trusted side's log")
    parser.add_argument("candidate", nargs="?", metavar="CAND", help="the ported side's log; a block file holds both")
    parser.add_argument(
        "--repeat", nargs="+", action="extend", default=[], metavar="LOG", help="more logs of the reference"
    )
    parser.add_argument(
        "--metric",
        nargs="+",
        default=["loss"],
        metavar="NAME",
        help="which scalar of the logs, by default the loss; two names: the reference's and the candidate's",
    )
    parser.add_argument("--rank", type=_rank, default=0, metavar="N|mean", help="whose values (default: rank 0)")
    parser.add_argument("--legacy", choices=SLICES, default="all", help="what the field's own rule looks at")
    parser.add_argument(
        "--numpy-spelling", action="store_true", help="print its last line as under numpy ≥ 2: np.float64(x)"
    )
    parser.add_argument("--pairs", type=Path, metavar="DIR_OR_CSV", help="judge many pairs, and write their index")
    parser.add_argument(
        "--epoch-length",
        type=count_argument,
        default=0,
        metavar="N",
        help="iterations of an epoch, for logs that count from each epoch's start and don't say how many there are",
    )
    parser.add_argument(
        "--max-log-size",
        type=size_argument,
        default=LIMITS.size,
        metavar="SIZE",
        help="the largest log that is read, unpacked; by default 64GiB",
    )
    parser.add_argument(
        "--max-records",
        type=count_argument,
        default=LIMITS.records,
        metavar="N",
        help="the most records that are read of a log, at 32 bytes of memory each; by default 50 million",
    )
    add_language_option(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the report into this folder")
    parser.add_argument("--markdown", action="store_true", help="print a block for a pull request")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, and say the verdict by the exit code; of many pairs, the one that opens the gate least."""
    from harness.cli.options import reproduction
    from harness.running.invoking import begin_invocation

    results = _many(arguments) if arguments.pairs else [_one(arguments)]
    invocation = begin_invocation(reproduction(), [result.case for result in results])
    results = [replace(result, invocation=invocation) for result in results]
    page = None
    out = arguments.out or (Path("alignment-report") if arguments.pairs else None)
    if out is not None:
        import reports

        page = reports.write(results, out)
    _show(results, arguments, page)
    return worst([result.verdict.status for result in results]).exit_code


def _one(arguments: argparse.Namespace) -> Result:
    from harness.cli.options import reproduction
    from harness.logs.compare import compare

    if arguments.reference is None:
        raise UsageError("there is nothing to compare", allowed="REF and CAND, a block file, or --pairs DIR_OR_CSV")
    return compare(
        arguments.reference,
        arguments.reference if arguments.candidate is None else arguments.candidate,
        metric=arguments.metric,
        rank=arguments.rank,
        repeats=arguments.repeat,
        legacy=arguments.legacy,
        numpy_spelling=arguments.numpy_spelling,
        command=reproduction(),
        epoch_length=arguments.epoch_length,
        limits=Limits(arguments.max_log_size, arguments.max_records),
    )


def _many(arguments: argparse.Namespace) -> list[Result]:
    from harness.logs.many import compare_many

    if arguments.reference is not None or arguments.repeat:
        raise UsageError("--pairs is given, and REF or --repeat too", allowed="one of them")
    return compare_many(
        arguments.pairs,
        metric=arguments.metric,
        rank=arguments.rank,
        legacy=arguments.legacy,
        numpy_spelling=arguments.numpy_spelling,
        epoch_length=arguments.epoch_length,
        limits=Limits(arguments.max_log_size, arguments.max_records),
    )


def _show(results: Sequence[Result], arguments: argparse.Namespace, page: Path | None) -> None:
    if arguments.json:
        from reports.results.json_result import encode
        from reports.results.result_record import record_of

        texts = [encode(record_of(result)).strip() for result in results]
        print(texts[0] if not arguments.pairs else "[" + ",\n".join(texts) + "]")
    elif arguments.markdown:
        from harness.cli.markdown import render_markdown

        print(shown("\n".join(render_markdown(result) for result in results)))
    elif arguments.pairs:
        from harness.cli.terminal import print_results

        print_results(results, str(page))
    else:
        from harness.cli.comparison import print_comparison

        print_comparison(results[0], page)


def _rank(text: str) -> int | str:
    if text == "mean":
        return text
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no rank: a number from 0, or mean")
    return number
