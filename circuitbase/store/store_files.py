"""What lies in a store: trace files, what a write that was cut short left behind, and files of others."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from circuitbase.store.store_errors import store_errors
from circuitbase.store.trace_file import SUFFIX
from circuitbase.store.trace_store import TRACE_ID, TraceStore

_TRACE = re.compile(rf"({TRACE_ID.pattern}){re.escape(SUFFIX)}")
_TEMPORARY = re.compile(rf"\.(?:{TRACE_ID.pattern}{re.escape(SUFFIX)}\.|doctor-).+")
_TIMES = ("mtime", "modified", "LastModified", "last_modified", "updated", "created")  # as fsspec's systems call it


class FileKind(StrEnum):
    """What a file in a store is by its name; a foreign one was not written by circuitbase."""

    TRACE = "trace"
    TEMPORARY = "temporary"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class StoredFile:
    """One file of a store; `modified` in seconds since the epoch, None where the store does not say."""

    path: str
    kind: FileKind
    trace_id: str | None
    size: int
    modified: float | None

    def is_older_than(self, seconds: float) -> bool:
        """Returns whether the file is known to have been left alone that long."""
        return self.modified is not None and self.modified <= time.time() - seconds


def store_files(store: TraceStore) -> list[StoredFile]:
    """Returns the files of a store, sorted by path; folders in it are passed over.

    Raises StoreError if the store cannot be listed.
    """
    filesystem, root = store.filesystem()
    with store_errors(f"the store {store.url} cannot be listed", "check it and who may read it"):
        if not filesystem.exists(root):
            return []
        return sorted(_files(filesystem.ls(root, detail=True)), key=lambda file: file.path)


def remove_file(store: TraceStore, file: StoredFile) -> bool:
    """Removes a file; returns whether it was still there. Raises StoreError if it cannot be removed."""
    filesystem, _ = store.filesystem()
    with store_errors(f"{file.path} cannot be removed", "check who may write to the store"):
        try:
            filesystem.rm_file(file.path)
        except FileNotFoundError:
            return False
    return True


def remove_leftovers(store: TraceStore, trace_id: str) -> int:
    """Removes what writes of one trace's file left that were cut short; returns how many files.

    For a caller that knows of nobody who writes that file now.
    """
    start = f".{trace_id}{SUFFIX}."
    left = [file for file in store_files(store) if file.path.rsplit("/", 1)[-1].startswith(start)]
    return sum(remove_file(store, file) for file in left)


def _files(entries: list[dict[str, Any]]) -> Iterator[StoredFile]:
    for entry in entries:
        if entry["type"] != "file":
            continue
        name = str(entry["name"]).rsplit("/", 1)[-1]
        trace = _TRACE.fullmatch(name)
        kind = FileKind.TRACE if trace else FileKind.TEMPORARY if _TEMPORARY.fullmatch(name) else FileKind.FOREIGN
        yield StoredFile(
            path=str(entry["name"]),
            kind=kind,
            trace_id=trace.group(1) if trace else None,
            size=int(entry.get("size") or 0),
            modified=_seconds(next((entry[name] for name in _TIMES if entry.get(name) is not None), None)),
        )


def _seconds(moment: Any) -> float | None:
    if isinstance(moment, int | float):
        return float(moment)
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None
