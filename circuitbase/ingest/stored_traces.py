"""What the database holds: prompt sets and traces, as rows."""

from collections.abc import Sequence
from typing import Any

from neo4j import Driver

from circuitbase.errors import InputError
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.statements import (
    ALL_TRACES,
    EVERY_TRACE_DIGEST,
    PROMPT_SETS,
    TRACE_DIGESTS,
    TRACE_DIGESTS_OF_SET,
    TRACES_OF_SET,
)


def stored_trace_ids(driver: Driver, ids: Sequence[str], *, database: str) -> frozenset[str]:
    """Returns those of the ids whose trace is stored."""
    return frozenset(stored_trace_digests(driver, ids, database=database))


def stored_trace_digests(driver: Driver, ids: Sequence[str], *, database: str) -> dict[str, str]:
    """Returns the digest of the stored numbers by trace id, for those of the ids that are stored."""
    return {row["id"]: row["array_digest"] for row in _rows(driver, TRACE_DIGESTS, database=database, ids=list(ids))}


def every_trace_digest(driver: Driver, *, database: str, prompt_set: str | None = None) -> dict[str, str]:
    """Returns the digest of the stored numbers by trace id, of a set's traces (None: of all).

    Raises InputError, with the names there are, for a set that does not exist.
    """
    if prompt_set is None:
        rows = _rows(driver, EVERY_TRACE_DIGEST, database=database)
    else:
        rows = _rows(driver, TRACE_DIGESTS_OF_SET, database=database, set=prompt_set)
        if not rows:
            _check_set(driver, prompt_set, database=database)
    return {row["id"]: row["array_digest"] for row in rows}


def prompt_sets(driver: Driver, *, database: str) -> list[dict[str, Any]]:
    """Returns name, prompts, traces and the configurations' names of every set, by name."""
    return _rows(driver, PROMPT_SETS, database=database)


def traces(driver: Driver, *, database: str, prompt_set: str | None, limit: int) -> list[dict[str, Any]]:
    """Returns what is known of the traces of a set (None: of all), latest first.

    Raises InputError, with the names there are, for a set that does not exist.
    """
    if prompt_set is None:
        return _rows(driver, ALL_TRACES, database=database, limit=limit)
    found = _rows(driver, TRACES_OF_SET, database=database, set=prompt_set, limit=limit)
    if not found:
        _check_set(driver, prompt_set, database=database)
    return found


def _check_set(driver: Driver, prompt_set: str, *, database: str) -> None:
    names = [row["set"] for row in prompt_sets(driver, database=database)]
    if prompt_set not in names:
        known = f"there are {', '.join(names)}" if names else "there is none yet"
        raise InputError(f"there is no prompt set {prompt_set!r} ({known}); name one of them, or `submit` it")


def _rows(driver: Driver, statement: str, *, database: str, **parameters: object) -> list[dict[str, Any]]:
    with database_failures("reading what is stored"), driver.session(database=database) as session:
        return session.execute_read(lambda transaction: transaction.run(statement, parameters).data())
