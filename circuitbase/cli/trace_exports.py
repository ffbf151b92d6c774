"""Writing traces for other tools, one by one, each to a file of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from circuitbase.errors import InputError

if TYPE_CHECKING:
    from neo4j import Driver, Session

    from circuitbase.graph.trace import Trace
    from circuitbase.settings import Settings

ExportFormat = Literal["graphml", "parquet", "json", "neuronpedia", "circuit-tracer"]
GRAPH_FORMS = ("neuronpedia", "circuit-tracer")
SUFFIXES = {"graphml": ".graphml", "parquet": ".parquet", "json": ".json"}


@dataclass(frozen=True)
class ExportOptions:
    """What a user asked of an export."""

    out: str
    format: ExportFormat | None
    configuration: str | None
    min_presence: float
    by: Any
    slug: str | None
    source_set: str | None


def export_traces(
    driver: "Driver | None",
    places: list[str],
    settings: "Settings",
    options: ExportOptions,
    form: Any,
    *,
    several: bool,
) -> tuple[list[dict[str, Any]], int]:
    """Writes traces one by one; returns a row for each file, and how many traces were refused."""
    from circuitbase.cli.stored import file_bar
    from circuitbase.errors import StoreError, TraceFileError
    from circuitbase.ingest.foreign.exporting import write_list
    from circuitbase.ingest.foreign.reading import LIST_NAME
    from circuitbase.store.trace_store import read_trace

    if several and options.slug is not None:
        raise InputError(f"--slug names one graph, and {len(places)} would be written; leave it out")
    if several and options.out.endswith((".json", ".gz", *SUFFIXES.values())):
        raise InputError(f"--out should be a folder for several traces, got the file {options.out}")
    written = _Written(rows=[], listed=[], names=set(), refused=0)
    with _session(driver, settings) as session, file_bar(places, description="exported") as (counted, say):
        for place in counted:
            try:
                trace = read_trace(place)
                if _is_wanted(trace, options):
                    _write(trace, session, options, form, written, several=several)
            except (InputError, StoreError, TraceFileError) as error:
                if not several:
                    raise
                written.refused += 1
                say(f"refused: {error}")
    if several and form == "circuit-tracer" and written.listed:
        write_list(written.listed, f"{options.out.rstrip('/')}/{LIST_NAME}")
    return written.rows, written.refused


@dataclass
class _Written:
    """What was written so far."""

    rows: list[dict[str, Any]]
    listed: list[dict[str, Any]]
    names: set[str]
    refused: int

    def unused(self, name: str, trace: "Trace") -> str:
        """Returns a name for a file that no other file of this export has."""
        chosen = name if name not in self.names else f"{name}-{trace.metadata.trace_id[:12]}"
        self.names.add(chosen)
        return chosen


@contextmanager
def _session(driver: "Driver | None", settings: "Settings") -> "Iterator[Session | None]":
    if driver is None:
        yield None
        return
    with driver.session(database=settings.neo4j_database, default_access_mode="READ") as session:
        yield session


def _is_wanted(trace: "Trace", options: ExportOptions) -> bool:
    from circuitbase.ingest.shared_rows import configuration_name

    wanted = options.configuration
    names = (trace.metadata.configuration_id, configuration_name(trace.metadata))
    return wanted is None or any(name.startswith(wanted) for name in names)


def _write(
    trace: "Trace", session: "Session | None", options: ExportOptions, form: Any, written: _Written, *, several: bool
) -> None:
    from circuitbase.graph.trace_tables import trace_tables
    from circuitbase.ingest.foreign.exporting import write_document
    from circuitbase.ingest.foreign.graph_writer import graph_document
    from circuitbase.store.graph_files import write_tables

    tables = trace_tables(trace)
    labels = _labels(trace, [str(unit) for unit in tables.nodes["unit"]], session)
    folder = options.out.rstrip("/")
    if form in GRAPH_FORMS:
        document = graph_document(trace, form=form, slug=options.slug, source_set=options.source_set, labels=labels)
        place = options.out
        if several:
            slug = written.unused(_file_name(document["metadata"]["slug"]), trace)
            document["metadata"]["slug"] = slug
            place = f"{folder}/{slug}.json"
        places = [write_document(document, place)]
        written.listed.append(document["metadata"])
    else:
        name = written.unused(trace.metadata.trace_id[:12], trace)
        place = f"{folder}/{name}{SUFFIXES[form]}" if several else options.out
        places = write_tables(trace_tables(trace, labels=labels), place, form=form)
    row = {"name": trace.metadata.trace_id[:12], "format": form, "nodes": tables.n_nodes, "edges": tables.n_edges}
    written.rows += [{**row, "file": each} for each in places]


def _file_name(slug: str) -> str:
    """Returns a slug that can be a file's name."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in slug).lstrip(".") or "graph"


def _labels(trace: "Trace", units: list[str], session: "Session | None") -> dict[str, str]:
    from circuitbase.ingest.unit_labels import unit_labels
    from circuitbase.queries.token_labels import given_labels

    return dict(unit_labels(trace.metadata)) | (given_labels(session, units) if session is not None else {})
