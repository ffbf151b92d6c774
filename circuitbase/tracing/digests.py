"""Content digests of files: what makes two models of one name different models.

Hashing gigabytes takes seconds, so the digests of large files are kept by path, size and time of change, in this
process and in circuitbase's cache folder.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from circuitbase.schema.identity import sha256
from circuitbase.settings import load_settings

LARGE = 64 * 2**20  # bytes from which a digest is worth a cache file; below it hashing takes milliseconds


def content_digest(files: Iterable[Path]) -> str:
    """Returns one SHA-256, in hex, over the names and contents of files; their order does not matter."""
    return sha256(sorted([path.name, file_digest(path)] for path in files))


def file_digest(path: Path, *, large: int = LARGE) -> str:
    """Returns the SHA-256, in hex, of a file's content."""
    path = path.resolve()
    found = path.stat()
    return _digest(path, found.st_size, found.st_mtime_ns, found.st_size >= large)


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, changed: int, keep: bool) -> str:
    if not keep:
        return _hashed(path)
    described = {"path": str(path), "size": size, "changed": changed}
    entry = load_settings().cache / "digests" / f"{sha256(str(path))[:32]}.json"
    kept = _read(entry)
    if kept is not None and {name: kept.get(name) for name in described} == described:
        return str(kept["sha256"])
    digest = _hashed(path)
    _write(entry, {**described, "sha256": digest})
    return digest


def _hashed(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(entry: Path) -> dict[str, object] | None:
    try:
        found = json.loads(entry.read_text())
    except (OSError, ValueError):
        return None  # a cache entry that is missing or damaged is made anew
    return found if isinstance(found, dict) and "sha256" in found else None


def _write(entry: Path, value: dict[str, object]) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=entry.parent, prefix=".")
        with os.fdopen(handle, "w") as file:
            json.dump(value, file)
        Path(temporary).replace(entry)
    except OSError:
        return  # without a cache folder the file is hashed again next time
