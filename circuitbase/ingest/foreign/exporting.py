"""Writing traces as graph files: each under its slug, checked before it is written, with the list that viewers read."""

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import fsspec

from circuitbase.errors import InputError
from circuitbase.ingest.foreign.document_check import document_problems
from circuitbase.store.trace_store import write_bytes


def write_document(document: Mapping[str, Any], location: str) -> str:
    """Writes a graph document, gzipped if the location ends in .gz, and returns where.

    Raises InputError that lists what Neuronpedia would refuse; then nothing is written.
    """
    problems = document_problems(document)
    if problems:
        raise InputError(
            f"{location} is not written, as it would not be ready for upload: {'; '.join(problems[:3])}; "
            "report this defect"
        )
    content = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    return write_bytes(gzip.compress(content, mtime=0) if location.endswith(".gz") else content, location)


def write_list(metadata: Sequence[Mapping[str, Any]], location: str) -> str:
    """Writes the list of a folder's graphs, with those that it lists already, and returns where."""
    listed = {str(each.get("slug")): dict(each) for each in _listed(location)}
    listed |= {str(each["slug"]): dict(each) for each in metadata}
    return write_bytes(json.dumps({"graphs": list(listed.values())}, ensure_ascii=False).encode(), location)


def _listed(location: str) -> list[Mapping[str, Any]]:
    try:
        with fsspec.open(location, "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return []
    graphs = found.get("graphs") if isinstance(found, dict) else None
    return [each for each in graphs if isinstance(each, dict)] if isinstance(graphs, list) else []
