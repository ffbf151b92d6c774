"""A bar on standard error while traces are read; nothing where it is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from circuitbase.queries.trace_stream import Progress
    from circuitbase.queries.trace_streaming import Heard


@contextmanager
def reading_bar() -> "Iterator[Progress]":
    """Yields a callback for (what is under way, how much of it is done, how much there is)."""
    from circuitbase.cli.job_bars import bars

    with bars() as shown:
        tasks: dict[str, Any] = {}

        def show(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = shown.add_task(doing, total=total)
            shown.update(tasks[doing], completed=done, total=total)

        yield show


@contextmanager
def reading_bar_of(what: str) -> "Iterator[Heard]":
    """Yields a callback for (how much is done, how much there is) of one thing."""
    with reading_bar() as show:
        yield lambda done, total: show(what, done, total)
