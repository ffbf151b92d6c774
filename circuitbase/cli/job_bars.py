"""Bars on standard error for jobs under way; nothing where it is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from circuitbase.workers.following import Progress


@contextmanager
def queueing_bar() -> Iterator[Callable[[int, int], None]]:
    """Yields a callback for (prompts queued, prompts in all)."""
    with bars() as shown:
        bar = shown.add_task("queued", total=None)
        yield lambda done, total: shown.update(bar, completed=done, total=total)


@contextmanager
def job_bars(total: int) -> "Iterator[Callable[[Progress], None]]":
    """Yields a callback for the progress of `total` jobs, shown as one bar each for traced and stored."""
    with bars() as shown:
        traced, stored = shown.add_task("traced", total=total), shown.add_task("stored", total=total)

        def show(progress: "Progress") -> None:
            shown.update(traced, completed=progress.traced)
            undone = f"stored, {progress.undone} not" if progress.undone else "stored"
            shown.update(stored, completed=progress.stored, description=undone)

        yield show


def bars() -> "Bars":
    """Returns bars with a count and the time so far."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
