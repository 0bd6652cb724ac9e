"""Progress while something runs: how much is done, what runs where, the time left; nothing of it in a log."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from types import TracebackType

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.cli.console import SafeConsole
from harness.language import say
from harness.store.stream import StreamRow

__all__ = ["Board", "loss_note", "run_progress"]


class Board:
    """A bar for each thing that runs and, where several are planned, one over all of them; to standard error.

    It may be told from several threads. Where standard error is no terminal, only what is printed through it is shown.

    Args:
        planned: how many things are to run.
        what: they are called, in the plural.
        steps: of all of them together, for the time left; 0 where nobody knows.
        shown: whether there are bars: not where another board shows them already.
    """

    def __init__(self, planned: int, what: str, steps: int = 0, *, shown: bool = True) -> None:
        self._console = SafeConsole(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        shown = shown and self._console.is_terminal
        self._progress = Progress(*columns, console=self._console, transient=True, disable=not shown)
        self._planned, self._what, self._steps = planned, what, steps
        self._ended = 0
        self._all = self._progress.add_task(self._title(), total=steps or planned, note="") if planned > 1 else None

    def __enter__(self) -> Board:
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def print(self, text: RenderableType) -> None:
        """Print a line above the bars."""
        self._console.print(text)

    @contextlib.contextmanager
    def running(self, title: str, steps: int, where: str = "") -> Iterator[Callable[[str], None]]:
        """The bar of one thing while it runs.

        Args:
            title: its name.
            steps: how many it is to have; 0 where nobody knows.
            where: it runs, such as the card.

        Yields:
            What to call with a note after each step.
        """
        name = f"{title}{say(' on ')}{where}" if where else title
        task = self._progress.add_task(name, total=steps or None, note="")
        made = [0]

        def advance(note: str = "") -> None:
            made[0] += 1
            self._progress.update(task, advance=1, note=note)
            self._advance(1)

        try:
            yield advance
        finally:
            self._progress.remove_task(task)
            self._advance(steps - made[0])  # what is left out, as it could be decided without it, is done too

    def done(self, things: int = 1, steps: int = 0) -> None:
        """Count things that have ended.

        Args:
            things: how many.
            steps: of them that no bar has shown, as those of a result that was there before.
        """
        self._ended += things
        self._advance(steps)
        if self._all is not None:
            self._progress.update(self._all, advance=0 if self._steps else things, description=self._title())

    def _advance(self, steps: int) -> None:
        if self._all is not None and self._steps and steps > 0:
            self._progress.update(self._all, advance=steps)

    def _title(self) -> str:
        return say(f"{self._ended} of {self._planned} {self._what}")


@contextlib.contextmanager
def run_progress(title: str, iterations: int) -> Iterator[Callable[[StreamRow], None]]:
    """A bar with loss and time left while a run lasts; nothing where standard error is not a terminal.

    Yields:
        What to call with each iteration that the run streams.
    """
    with Board(1, "runs") as board, board.running(title, iterations) as advance:
        yield lambda row: advance(loss_note(row))


def loss_note(row: StreamRow) -> str:
    """The loss of an iteration, for its bar."""
    return f"loss {row.signals.get('loss', math.nan):.4f}"
