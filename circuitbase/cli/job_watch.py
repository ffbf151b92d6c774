"""`jobs --watch`: counts of jobs as they change, a live table on a terminal and lines elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from circuitbase.settings import Settings

if TYPE_CHECKING:
    import redis
    from rich.table import Table

    from circuitbase.workers.census import Census
    from circuitbase.workers.jobs import JobState

LOOK_AGAIN_SECONDS = 1.0
SHORTEST_SET = 12  # columns for the names of sets
PAUSES_PER_LOOK = 4.0  # so that counting a hundred thousand jobs keeps Redis busy for a fifth of the time at most


@dataclass(frozen=True)
class Look:
    """What there is to see at one time; `workers` are the names of those that listen, by queue."""

    census: "Census"
    workers: dict[str, list[str]]


def watch_jobs(settings: Settings, *, prompt_set: str | None) -> None:
    """Shows jobs until none is under way or Ctrl+C is pressed."""
    from circuitbase.workers.connection import open_redis

    try:
        with open_redis(settings) as client, shown() as show:
            for look in looks(client, prompt_set=prompt_set):
                show(look)
    except KeyboardInterrupt:
        return


def looks(client: "redis.Redis", *, prompt_set: str | None) -> "Iterator[Look]":
    """Yields what there is to see, every second or more seldom, until nothing is under way."""
    from circuitbase.cli.queues import QUEUES
    from circuitbase.workers.census import take_census
    from circuitbase.workers.presence import listening
    from circuitbase.workers.routing import known_models

    while True:
        begun = time.monotonic()
        census = take_census(client, prompt_set=prompt_set)
        taken = time.monotonic() - begun
        yield Look(census, {queue: listening(client, queue, models=known_models(client)) for queue in QUEUES})
        if not census.under_way:
            return
        time.sleep(max(LOOK_AGAIN_SECONDS, PAUSES_PER_LOOK * taken))


@contextmanager
def shown() -> "Iterator[Callable[[Look], None]]":
    """Yields a callback that shows a look: in place on a terminal, else as a line where it differs from the last."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda look: live.update(watch_table(look), refresh=True)
        return
    last = [""]

    def show(look: Look) -> None:
        line = watch_line(look)
        if line != last[0]:
            click.echo(line)
            last[0] = line

    yield show


def watch_table(look: Look) -> "Table":
    """Returns the counts of each set and of all by state, with rate, time left and workers below."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from circuitbase.workers.jobs import JobState

    table = Table(
        box=SIMPLE_HEAD,  # narrow enough for 80 columns
        collapse_padding=True,
        pad_edge=False,
        caption=escape(pace(look)),
        caption_justify="left",
        header_style="bold",
    )
    table.add_column("set", overflow="fold", min_width=SHORTEST_SET)
    for state in JobState:
        table.add_column(state.value, justify="right", no_wrap=True)
    for name, counts in look.census.by_set.items():
        table.add_row(escape(name), *_cells(counts))
    table.add_section()
    table.add_row("all", *_cells(look.census.total), style="bold")
    return table


def watch_line(look: Look) -> str:
    """Returns the counts of all jobs, the rate and the time left as one line."""
    from circuitbase.workers.jobs import JobState

    total = look.census.total
    counts = ", ".join(f"{total[state]} {state.value}" for state in JobState if total[state])
    return f"{counts or 'no jobs'}; {pace(look)}"


def pace(look: Look) -> str:
    """Returns the rate of the last minute, the time left at that rate, and who listens."""
    parts = [f"{look.census.stored_lately} stored in the last minute"]
    left = look.census.seconds_left
    if look.census.under_way:
        parts.append("time left unknown" if left is None else f"{duration(left)} left")
    for queue, names in look.workers.items():
        noun = "worker" if len(names) == 1 else "workers"
        parts.append(f"{len(names)} {noun} on {queue}" + (f" ({', '.join(names)})" if names else ""))
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Returns a time as a person says it: 42 s, 7 min, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _cells(counts: "Counter[JobState]") -> list[str]:
    from circuitbase.workers.jobs import JobState

    return [str(counts[state]) if counts[state] else "" for state in JobState]
