"""Holding the store and the database against each other: what one has and the other lacks, or has otherwise.

A file whose job is unfinished is not held against anyone: its trace is not stored yet.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from neo4j import Driver

from circuitbase.errors import StoreError, TraceFileError
from circuitbase.ingest.stored_traces import every_trace_digest, stored_trace_ids
from circuitbase.store.store_files import FileKind, StoredFile, remove_file, store_files
from circuitbase.store.trace_file import array_digest
from circuitbase.store.trace_store import TraceStore

YOUNG_SECONDS = 3600.0  # a file that was written since may belong to something that is under way
REMOVE_BATCH = 200

Unfinished = Callable[[Sequence[str]], Set[str]]  # those of the trace ids whose job is not at its end


@dataclass(frozen=True)
class StoreProblem:
    """One thing that is wrong; `trace_id` is None for a file that is no trace's."""

    problem: str
    trace_id: str | None
    file: str
    detail: str


@dataclass(frozen=True)
class Swept:
    """What was removed."""

    files: int
    size: int


def store_problems(
    driver: Driver, *, store: TraceStore, database: str, unfinished: Unfinished, prompt_set: str | None = None
) -> Iterator[StoreProblem]:
    """Yields what is wrong: with the traces of a set, or (None) with everything in the store and in Neo4j.

    Every file of a stored trace is read whole, and its arrays are held against the digests in the file
    and in Neo4j.
    """
    files = store_files(store)
    by_trace = {file.trace_id: file for file in files if file.trace_id is not None}
    stored = every_trace_digest(driver, database=database, prompt_set=prompt_set)
    if prompt_set is None:
        yield from _without_trace(files, stored.keys(), store=store, unfinished=unfinished)
    for trace_id, digest in sorted(stored.items()):
        location = store.location(trace_id)
        if trace_id not in by_trace:
            detail = "the trace is stored, but its file is gone; roll-ups cannot be made anew without it"
            yield StoreProblem("missing file", trace_id, location, detail)
        elif damage := _damage(store, trace_id, digest):
            yield StoreProblem("damaged file", trace_id, location, damage)


def removable_files(
    driver: Driver,
    *,
    store: TraceStore,
    database: str,
    unfinished: Unfinished,
    young_seconds: float = YOUNG_SECONDS,
) -> list[StoredFile]:
    """Returns trace files that no trace and no unfinished job refers to, and temporary leftovers.

    What was written in the last `young_seconds`, or at a time the store does not tell, is left out, and
    so is every file that circuitbase did not write.
    """
    old = [file for file in store_files(store) if file.is_older_than(young_seconds)]
    ids = [file.trace_id for file in old if file.trace_id is not None]
    kept = every_trace_digest(driver, database=database).keys() | unfinished(ids)
    return [
        file
        for file in old
        if file.kind is FileKind.TEMPORARY or (file.kind is FileKind.TRACE and file.trace_id not in kept)
    ]


def remove_files(
    driver: Driver, files: Sequence[StoredFile], *, store: TraceStore, database: str, unfinished: Unfinished
) -> Swept:
    """Removes files, except those that a job or a trace has come to need since they were listed."""
    removed = size = 0
    for start in range(0, len(files), REMOVE_BATCH):
        batch = files[start : start + REMOVE_BATCH]
        ids = [file.trace_id for file in batch if file.trace_id is not None]
        # the jobs first: what ends between the two questions is then found in the database
        needed = set(unfinished(ids))
        needed |= stored_trace_ids(driver, ids, database=database)
        for file in batch:
            if file.trace_id not in needed and remove_file(store, file):
                removed += 1
                size += file.size
    return Swept(files=removed, size=size)


def _without_trace(
    files: Sequence[StoredFile], stored: Set[str], *, store: TraceStore, unfinished: Unfinished
) -> Iterator[StoreProblem]:
    alone = [file.trace_id for file in files if file.trace_id is not None and file.trace_id not in stored]
    under_way = unfinished(alone)
    for file in files:
        match file.kind:
            case FileKind.TRACE if file.trace_id in alone and file.trace_id not in under_way:
                detail = "no trace and no unfinished job refers to it; `ingest` it, or remove it with `store gc`"
                yield StoreProblem("file without a trace", file.trace_id, file.path, detail)
            case FileKind.TEMPORARY if file.is_older_than(YOUNG_SECONDS):
                detail = "a write that was cut short left it; remove it with `store gc`"
                yield StoreProblem("temporary leftover", None, file.path, detail)
            case FileKind.FOREIGN:
                detail = "it is not named by a trace id, so circuitbase neither reads nor removes it"
                yield StoreProblem("foreign file", None, file.path, detail)


def _damage(store: TraceStore, trace_id: str, digest: str) -> str | None:
    try:
        found = array_digest(store.load(trace_id).graph.arrays())
    except (StoreError, TraceFileError) as error:
        return str(error)
    if found != digest:
        return "its numbers are not those in Neo4j, as another device gives; keep one: `remove` the trace, or the file"
    return None
