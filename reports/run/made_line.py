"""When, where and of what a result was made: a line for a page's first screen, and the cells of an index's row."""

from __future__ import annotations

from harness.values.invocation import Invocation
from harness.values.provenance import Provenance
from harness.values.result import Result
from reports.run.build_words import build_words

__all__ = ["commit_of", "made_line", "minute_of", "short_commit"]


def made_line(result: Result) -> str:
    """When, on which machine and build, of which commit, by which version of align; without what nobody told."""
    candidate, invocation = result.candidate, result.invocation
    when = minute_of(candidate, invocation)
    machine = result.host or (invocation.machine if invocation is not None else "")
    card = f", card {result.card}" if result.card else ""
    build = build_words([candidate.device.build])[0] if candidate is not None and candidate.device.build else ""
    version = invocation.version if invocation is not None else ""
    commit = short_commit(commit_of(candidate, invocation))
    clauses = (
        f"run {when} UTC" if when else "",
        f"machine {machine}{card}" if machine else "",
        f"build {build}" if build else "",
        f"commit {commit}" if commit else "",
        f"judged by align {version}" if version else "",
    )
    return "; ".join(filter(None, clauses))


def minute_of(candidate: Provenance | None, invocation: Invocation | None) -> str:
    """When the run, else the command, began, to the minute; empty where nobody said."""
    started = (candidate.started if candidate is not None else "") or (invocation.started if invocation else "")
    return started[:16].replace("T", " ")


def commit_of(candidate: Provenance | None, invocation: Invocation | None) -> str:
    """Of the candidate's working tree, else of the command's."""
    return (candidate.commit if candidate is not None else "") or (invocation.commit if invocation else "")


def short_commit(commit: str) -> str:
    """Eight digits, and whether files were changed."""
    digits, dirty, _ = commit.partition("-")
    return f"{digits[:8]}{'-dirty' if dirty else ''}"
