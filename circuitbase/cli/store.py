"""`store verify` and `store gc`: trace files held against what Neo4j holds, and cleared up."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.settings import load_settings

PROBLEM_COLUMNS = ("problem", "trace", "file", "detail")
GC_COLUMNS = ("files", "bytes", "removed", "removed_bytes")
ID_WIDTH = 12
MINUTE_SECONDS = 60.0


@click.group()
def store() -> None:
    """Verify the store of trace files, or clear it up.

    \b
    Examples:
      circuitbase store verify
      circuitbase store gc --dry-run
    """


@store.command()
@click.option("--set", "prompt_set", metavar="NAME", help="Only the files of this set's traces.")
@output_options
def verify(prompt_set: str | None, output: str | None) -> None:
    """Say what is wrong: files without a trace, traces without a file, damaged files, leftovers.

    Every file of a stored trace is read whole. Prints nothing but the header if all is well; exits with 1
    if something is wrong.

    \b
    Examples:
      circuitbase store verify
      circuitbase store verify --set capitals --csv
    """
    from circuitbase.ingest.store_check import store_problems

    with _held_against() as subject:
        found = list(store_problems(**subject, prompt_set=prompt_set))
    brief = chosen_format(output) == "table"
    rows = [
        {
            "problem": each.problem,
            "trace": each.trace_id[:ID_WIDTH] if each.trace_id and brief else each.trace_id,
            "file": each.file,
            "detail": each.detail,
        }
        for each in found
    ]
    if brief and not found:
        click.echo("every trace has its file, and every file its trace")
        return
    show_rows(rows, output=output, columns=PROBLEM_COLUMNS)
    if found:
        sys.exit(1)


@store.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say how many files and bytes.")
@click.option(
    "--older-than",
    "minutes",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="MINUTES",
    help="Leave alone what was written since then.",
)
@output_options
def gc(yes: bool, dry_run: bool, minutes: float, output: str | None) -> None:
    """Remove trace files that no trace and no unfinished job refers to, and temporary leftovers.

    Says how many files and bytes that are, and asks first. What a job came to need meanwhile is kept.
    Files that are not named by a trace id are never touched.

    \b
    Examples:
      circuitbase store gc --dry-run
      circuitbase store gc --older-than 1440 --yes
    """
    from circuitbase.ingest.store_check import Swept, removable_files, remove_files
    from circuitbase.workers.kept_in_memory import readable

    with _held_against() as subject:
        found = removable_files(**subject, young_seconds=minutes * MINUTE_SECONDS)
        size = sum(file.size for file in found)
        if found and not (yes or dry_run):
            noun = "file" if len(found) == 1 else "files"
            place = subject["store"].url
            click.confirm(f"Remove {len(found)} {noun} ({readable(size)}) from {place}?", abort=True, err=True)
        removed = Swept(files=0, size=0) if dry_run else remove_files(files=found, **subject)
    row = {"files": len(found), "bytes": size, "removed": removed.files, "removed_bytes": removed.size}
    show_rows([row], output=output, columns=GC_COLUMNS)


@contextmanager
def _held_against() -> Iterator[dict[str, Any]]:
    """Yields the database, the store and the jobs that hold each other to account."""
    from circuitbase.ingest.connection import open_driver
    from circuitbase.store.trace_store import TraceStore
    from circuitbase.workers.connection import open_redis
    from circuitbase.workers.unfinished import unfinished

    settings = load_settings()
    with open_redis(settings) as client, open_driver(settings) as driver:
        yield {
            "driver": driver,
            "store": TraceStore(settings.store_url),
            "database": settings.neo4j_database,
            "unfinished": partial(unfinished, client),
        }
