"""`ingest`, `migrate`, `sets` and `traces`: what is in the database, and bringing it there."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.settings import load_settings

SET_COLUMNS = ("set", "prompts", "traces", "configurations")
TRACE_COLUMNS = (
    *("trace", "prompt", "configuration", "replacement", "completeness", "nodes", "edges"),
    *("top_token", "answer_rank", "logit_difference", "stored_at"),
)
BRIEF_TRACE_COLUMNS = ("trace", "prompt", "replacement", "completeness", "nodes", "edges", "top_token", "answer_rank")
INGEST_COLUMNS = ("stored", "already_stored", "refused", "nodes", "edges", "retries")
ID_WIDTH = 12


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--set", "prompt_set", metavar="NAME", help="Also put the prompts into this set.")
@output_options
def ingest(files: tuple[str, ...], prompt_set: str | None, output: str | None) -> None:
    """Put trace files into Neo4j.

    FILE is a trace file or a folder of them, as a path or an fsspec URL. Each file is copied into the
    store, where rollups read it. What is stored already is left as it is. A file that is damaged, of
    another version or inconsistent is refused with a sentence and changes nothing; then the exit code is 1.

    \b
    Examples:
      circuitbase ingest trace.safetensors --set capitals
      circuitbase ingest traces/ more/*.safetensors
    """
    from circuitbase.errors import DatabaseError, StoreError, TraceFileError
    from circuitbase.ingest.connection import open_driver
    from circuitbase.ingest.migrations import ensure_schema
    from circuitbase.ingest.trace_files import find_trace_files, ingest_file
    from circuitbase.store.trace_store import TraceStore

    settings = load_settings()
    store, database = TraceStore(settings.store_url), settings.neo4j_database
    found = dict.fromkeys(INGEST_COLUMNS, 0)
    with open_driver(settings) as driver:
        ensure_schema(driver, database=database)
        with file_bar(find_trace_files(files)) as (locations, say):
            for location in locations:
                try:
                    trace = ingest_file(location, driver=driver, store=store, database=database, prompt_set=prompt_set)
                except (DatabaseError, StoreError, TraceFileError) as error:
                    found["refused"] += 1
                    say(f"refused: {error}")
                    continue
                found["retries"] += trace.retries
                found["stored" if trace.stored else "already_stored"] += 1
                if trace.stored:
                    found["nodes"] += trace.n_nodes
                    found["edges"] += trace.n_edges
    show_rows([found], output=output, columns=INGEST_COLUMNS)
    if found["refused"]:
        sys.exit(1)


@click.command()
@output_options
def migrate(output: str | None) -> None:
    """Bring the database to this version's schema.

    A fresh database is also brought there by the first `submit` or `ingest`. Running it again, or in two
    places at once, does no harm.

    \b
    Example:
      circuitbase migrate
    """
    from circuitbase.ingest.connection import open_driver
    from circuitbase.ingest.migrations import migrate as run_migrations

    settings = load_settings()
    with open_driver(settings) as driver:
        done = run_migrations(driver, database=settings.neo4j_database)
    show_rows(
        [{"version_before": done.before, "version": done.after, "migrations": list(done.ran)}],
        output=output,
        columns=("version_before", "version", "migrations"),
    )


@click.command()
@output_options
def sets(output: str | None) -> None:
    """List the prompt sets.

    \b
    Examples:
      circuitbase sets
      circuitbase sets --csv > sets.csv
    """
    from circuitbase.ingest.connection import open_driver
    from circuitbase.ingest.stored_traces import prompt_sets

    settings = load_settings()
    with open_driver(settings) as driver:
        rows = prompt_sets(driver, database=settings.neo4j_database)
    show_rows(rows, output=output, columns=SET_COLUMNS)


@click.command()
@click.argument("prompt_set", required=False, metavar="[SET]")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Traces to list at most.")
@output_options
def traces(prompt_set: str | None, limit: int, output: str | None) -> None:
    """List the traces of a prompt SET, or all of them, latest first.

    \b
    Examples:
      circuitbase traces capitals
      circuitbase traces --limit 5 --json
    """
    from circuitbase.ingest.connection import open_driver
    from circuitbase.ingest.stored_traces import traces as stored_traces

    settings = load_settings()
    with open_driver(settings) as driver:
        rows = stored_traces(driver, database=settings.neo4j_database, prompt_set=prompt_set, limit=limit)
    if chosen_format(output) == "table":
        rows = [{**row, "trace": row["trace"][:ID_WIDTH]} for row in rows]
        show_rows(rows, output=output, columns=BRIEF_TRACE_COLUMNS)
    else:
        show_rows(rows, output=output, columns=TRACE_COLUMNS)


@contextmanager
def file_bar(
    locations: list[str], *, description: str = "ingested"
) -> Iterator[tuple[Iterator[str], Callable[[str], None]]]:
    """Yields the files, counted by a bar on a terminal's standard error, and a callback for sentences."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        counted = iter(bar.track(locations, description=description))
        yield counted, lambda sentence: console.print(sentence, markup=False)
