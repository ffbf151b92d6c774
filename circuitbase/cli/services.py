"""`up`, `down`, `fetch` and `doctor`: the private Neo4j and Redis."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.settings import Settings, load_settings

if TYPE_CHECKING:
    from circuitbase.services.jars import Progress
    from circuitbase.services.service import Say


@contextmanager
def shown_progress(doing: str) -> "Iterator[tuple[Say, Progress]]":
    """Yields callbacks for sentences and for bytes fetched, over a moving bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)

        def say(sentence: str) -> None:
            bar.update(task, total=None, description=doing)
            console.print(sentence, markup=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=f"Fetching {total / 2**20:.0f} MB")

        yield say, show


def start_services(settings: Settings, *, listen: str | None = None, heap: str | None = None) -> None:
    """Starts the private services, telling the user on standard error what happens."""
    from dataclasses import replace

    from circuitbase import services
    from circuitbase.services.memory import memory_for_machine

    memory = replace(memory_for_machine(), initial_heap=heap, heap=heap) if heap else None
    with shown_progress("Starting services") as (say, progress):
        services.up(settings, listen=listen, memory=memory, say=say, progress=progress)


def heap_size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Returns a size that Java takes; raises BadParameter for another."""
    if value is not None and not re.fullmatch(r"[1-9]\d*[mgMG]", value):
        raise click.BadParameter(f"should be a number of megabytes or gigabytes such as 4g, got {value}")
    return value


def show_addresses(settings: Settings) -> None:
    """Prints where the services answer, and where the password is rather than the password."""
    from circuitbase.services.reachable import redis_address

    uri, user, _ = settings.neo4j_connection()
    rows = [("Neo4j", uri), ("user", user)]
    if settings.uses_private_services:
        rows.append(("password", f"in {settings.home / 'neo4j' / 'password'}"))
        rows.append(("Browser", settings.private_connection["neo4j_http"]))
    rows.append(("Redis", redis_address(settings.redis_connection())))
    for name, value in rows:
        click.echo(f"{name:<9} {value}")


@click.command()
@click.option("--listen", metavar="ADDRESS", help="Address to listen on instead of 127.0.0.1.")
@click.option(
    "--heap", metavar="SIZE", callback=heap_size, help="Neo4j's heap, such as 4g; an eighth of the memory by default."
)
def up(listen: str | None, heap: str | None) -> None:
    """Start the private Neo4j and Redis, or find them running.

    Nothing needs root or Docker. Neo4j is fetched at the first start. Ports 7687, 7474 and 6379 are
    taken if they are free, others if not. The private services speak no TLS: on another ADDRESS what is
    sent is not encrypted, and passwords of fewer than 16 characters are refused. On a shared network leave it
    at 127.0.0.1 and let other hosts come through an SSH tunnel (docs/operations.md).

    \b
    Example:
      circuitbase up
    """
    from circuitbase.services.listening import is_loopback, warning

    settings = load_settings()
    if listen is not None and not is_loopback(listen):
        click.echo(warning(listen), err=True)
    start_services(settings, listen=listen, heap=heap)
    show_addresses(settings)


@click.command()
def down() -> None:
    """Stop what was started here: workers, Redis, Neo4j.

    Everything stored is kept.

    \b
    Example:
      circuitbase down
    """
    from circuitbase import services

    services.down(load_settings(), say=click.echo)


@click.command()
def fetch() -> None:
    """Fetch Neo4j and verify it, without starting it.

    Jars that are there and verified are not fetched again. CIRCUITBASE_MAVEN_URL names a mirror.

    \b
    Example:
      circuitbase fetch
    """
    from circuitbase.services.jars import NEO4J_VERSION, jar_folder
    from circuitbase.services.jars import fetch as fetch_jars

    settings = load_settings()
    with shown_progress("Verifying Neo4j") as (_, progress):
        fetched = fetch_jars(settings, progress=progress)
    click.echo(f"Neo4j {NEO4J_VERSION} is verified in {jar_folder(settings)} ({fetched} jars fetched)")


@click.command()
@output_options
def doctor(output: str | None) -> None:
    """Say what is installed, reachable and configured.

    Exits with 1 if something that every command needs is not.

    \b
    Examples:
      circuitbase doctor
      circuitbase doctor --json
    """
    from circuitbase import services

    checks = services.doctor(load_settings())
    marks = {"ok": "ok", "optional": "–", "problem": "PROBLEM"} if chosen_format(output) == "table" else {}
    rows = [{"check": it.name, "state": marks.get(it.state, it.state), "found": it.found} for it in checks]
    show_rows(rows, output=output, columns=("check", "state", "found"))
    if any(it.state == "problem" for it in checks):
        sys.exit(1)
