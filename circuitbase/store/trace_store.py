"""Where trace files lie: a folder, or any fsspec URL (S3, GCS, Azure, memory)."""

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
from fsspec.core import url_to_fs

from circuitbase.errors import StoreError, TraceFileError
from circuitbase.graph.trace import Trace
from circuitbase.store.store_errors import store_errors
from circuitbase.store.trace_file import SUFFIX, from_bytes, to_bytes

TRACE_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class TraceStore:
    """A folder of trace files, named by trace id, at `url`."""

    url: str

    def location(self, trace_id: str) -> str:
        """Returns the path or URL of a trace's file."""
        return f"{self.url.rstrip('/')}/{trace_id}{SUFFIX}"

    def exists(self, trace_id: str) -> bool:
        """Returns whether the trace's file is there; raises StoreError if the store cannot be asked."""
        path = f"{_checked(trace_id)}{SUFFIX}"
        filesystem, root = self.filesystem()
        with store_errors(f"the store {self.url} cannot be read", "check it and who may read it"):
            return bool(filesystem.exists(f"{root}/{path}"))

    def save(self, trace: Trace) -> str:
        """Writes the trace's file and returns its location; a half file is never left under it."""
        return write_bytes(to_bytes(trace), self.location(trace.metadata.trace_id))

    def load(self, trace_id: str) -> Trace:
        """Returns the trace of that id; raises StoreError if its file is not there."""
        trace = read_trace(self.location(_checked(trace_id)))
        if trace.metadata.trace_id != trace_id:
            raise TraceFileError(
                f"{self.location(trace_id)} holds trace {trace.metadata.trace_id[:12]}, "
                f"not {trace_id[:12]}; remove it and trace the prompt again"
            )
        return trace

    def remove(self, trace_id: str) -> bool:
        """Removes the trace's file; returns whether there was one. Raises StoreError if it cannot be removed."""
        location = self.location(_checked(trace_id))
        filesystem, root = self.filesystem()
        path = f"{root}/{trace_id}{SUFFIX}"
        with store_errors(f"{location} cannot be removed", "check who may write to the store"):
            if not filesystem.exists(path):
                return False
            filesystem.rm_file(path)
            return True

    def trace_ids(self) -> Iterator[str]:
        """Yields the ids of all trace files, sorted; raises StoreError if the store cannot be listed."""
        filesystem, root = self.filesystem()
        with store_errors(f"the store {self.url} cannot be listed", "check it and who may read it"):
            paths = filesystem.ls(root, detail=False) if filesystem.exists(root) else []
        for path in sorted(paths):
            file_name = str(path).rsplit("/", 1)[-1]
            if file_name.endswith(SUFFIX) and not file_name.startswith("."):
                yield file_name[: -len(SUFFIX)]

    def filesystem(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """Returns the file system of the store and the folder in it; raises StoreError if it cannot be opened."""
        try:
            filesystem, root = url_to_fs(self.url, use_listings_cache=False)  # others write there, too
        except (ValueError, ImportError) as error:
            raise StoreError(
                f"the store {self.url} cannot be opened ({error}); "
                "give a folder, or a URL whose fsspec package is installed"
            ) from error
        return filesystem, str(root).rstrip("/")


def _checked(trace_id: str) -> str:
    """Returns a trace id; raises StoreError for a text that could lead out of the store."""
    if not TRACE_ID.fullmatch(trace_id):
        raise StoreError(f"a trace id should be 64 hexadecimal digits, got {trace_id[:80]!r}; nothing was touched")
    return trace_id


def read_trace(location: str | Path) -> Trace:
    """Returns the trace in a file or at a URL; raises StoreError or TraceFileError."""
    with store_errors(f"the trace file {location} cannot be read", "check the path, or trace the prompt again"):
        filesystem, path = url_to_fs(str(location))
        content = filesystem.cat_file(path)
    return from_bytes(content, name=str(location))


def write_bytes(content: bytes, location: str) -> str:
    """Writes a file as a whole or not at all, and returns its location.

    A local file is written under a temporary name, synced and renamed; an object store gets one put.
    """
    remedy = "free space or choose another place (CIRCUITBASE_STORE or --out)"
    with store_errors(f"{location} cannot be written", remedy):
        filesystem, path = url_to_fs(location)
        if "file" in _protocols(filesystem):
            _write_local(content, Path(path))
        else:
            filesystem.pipe_file(path, content)
    return location


def _write_local(content: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _protocols(filesystem: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
