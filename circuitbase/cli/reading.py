"""What every command that reads sums does first: connect, add what is pending, and say so."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from neo4j import Driver, Session

from circuitbase.settings import Settings


@contextmanager
def reading_session(settings: Settings, *prompt_sets: str) -> Iterator[tuple[Driver, Session]]:
    """Yields a driver and a reading session, the pending traces of the sets added to their sums."""
    from circuitbase.ingest.connection import open_driver

    with open_driver(settings) as driver:
        add_pending(driver, settings, *prompt_sets)
        with driver.session(database=settings.neo4j_database, default_access_mode="READ") as session:
            yield driver, session


def add_pending(driver: Driver, settings: Settings, *prompt_sets: str) -> None:
    """Adds the pending traces of the sets, or of all where none is named, and says how many on standard error."""
    from circuitbase.queries.rollup import roll_up
    from circuitbase.store.trace_store import TraceStore

    store = TraceStore(settings.store_url)
    for prompt_set in dict.fromkeys(prompt_sets) or (None,):
        report = roll_up(driver, store=store, prompt_set=prompt_set, database=settings.neo4j_database)
        if report.traces:
            sums = f"the sums of {prompt_set}" if prompt_set else "the sums of their sets"
            click.echo(f"Added {report.traces} pending traces to {sums}.", err=True)
