"""What a file is, by its contents: circuit-tracer's .pt, graph JSON (also gzipped), or a list of graphs."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from circuitbase.errors import GraphFileError, InputError, StoreError
from circuitbase.ingest.foreign.foreign_graph import ForeignGraph
from circuitbase.ingest.foreign.graph_json import read_graph_json
from circuitbase.ingest.foreign.pickled_graph import read_pickled_graph

LIST_NAME = "graph-metadata.json"
_SUFFIXES = (".json", ".json.gz", ".pt")
_ZIP, _GZIP, _PICKLE = b"PK\x03\x04", b"\x1f\x8b", b"\x80"


def find_graph_files(places: Iterable[str]) -> list[str]:
    """Returns the graph files at the places: each a file, a folder of them, or a graph-metadata.json; paths or URLs.

    A graph-metadata.json stands for the graphs that it lists, which lie beside it. Raises InputError that lists
    every place where there is none.
    """
    found: list[str] = []
    missing = []
    for place in places:
        files = list(_files_at(place))
        found += files
        if not files:
            missing.append(place)
    if missing:
        raise InputError(f"there is no graph file ({', '.join(_SUFFIXES)}) at {', '.join(missing)}; check the path")
    return list(dict.fromkeys(found))


def read_graph(location: str) -> ForeignGraph:
    """Returns the graph of a file at a path or fsspec URL.

    Raises GraphFileError, which names the file, for one that is truncated, inconsistent or no graph, and
    StoreError for one that cannot be read. No code in a file is ever run.
    """
    start = _content(location, length=2)
    if start == _ZIP[:2] or start[:1] == _PICKLE:
        return read_pickled_graph(location)
    document = _document(location)
    if "links" in document:
        return read_graph_json(document, name=location)
    if "graphs" in document:
        raise GraphFileError(f"{location} is a list of graphs, and lists are read by the name {LIST_NAME} alone")
    if "edges" in document:
        raise GraphFileError(
            f"{location} holds scores of edges between components, no attribution graph; "
            "see `circuitbase component-circuit`"
        )
    raise GraphFileError(
        f"{location} is no graph file: it has no `links`; give a graph of circuit-tracer or Neuronpedia"
    )


def _document(location: str) -> dict[str, Any]:
    content = _content(location)
    try:
        if content[:2] == _GZIP:
            content = gzip.decompress(content)
        found = json.loads(content)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GraphFileError(
            f"{location} is truncated or no graph file (as JSON: {said:.100}); copy it again, or give a .pt or JSON "
            "graph of circuit-tracer or Neuronpedia"
        ) from error
    if not isinstance(found, dict):
        raise GraphFileError(
            f"{location} is no graph file: its JSON should be an object with nodes and links, got a "
            f"{type(found).__name__}; give a graph of circuit-tracer or Neuronpedia"
        )
    return found


def _content(location: str, *, length: int = -1) -> bytes:
    try:
        with fsspec.open(location, "rb") as file:
            content: bytes = file.read(length)
    except (OSError, ValueError, ImportError) as error:
        raise StoreError(f"the graph file {location} cannot be read ({error}); check the path") from error
    return content


def _files_at(place: str) -> Iterator[str]:
    try:
        filesystem, path = url_to_fs(place)
        if filesystem.isdir(path):
            names = sorted(str(each).rsplit("/", 1)[-1] for each in filesystem.ls(path, detail=False))
            graphs = [name for name in names if name.endswith(_SUFFIXES) and name != LIST_NAME]
            yield from (f"{place.rstrip('/')}/{name}" for name in graphs if not name.startswith("."))
            return
        if not filesystem.exists(path):
            return
    except (OSError, ValueError, ImportError) as error:
        raise StoreError(f"{place} cannot be read ({error}); check it and what it needs to be opened") from error
    if PurePosixPath(path).name == LIST_NAME:
        yield from _listed(place)
    else:
        yield place


def _listed(place: str) -> Iterator[str]:
    found = _document(place).get("graphs")
    folder = place[: -len(LIST_NAME)]
    for each in found if isinstance(found, list) else []:
        slug = each.get("slug") if isinstance(each, dict) else None
        if not isinstance(slug, str) or not slug or "/" in slug or "\\" in slug:
            raise GraphFileError(
                f"{place} should list graphs by their slug, the name of a file beside it, got {slug!r:.40}; "
                "name the graph files themselves"
            )
        yield f"{folder}{slug}.json"
