"""`export`: traces as graph files of other tools, global circuits for graph tools and data frames."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

import click

from circuitbase.cli.output import output_options, show_rows
from circuitbase.cli.trace_exports import GRAPH_FORMS, SUFFIXES, ExportFormat, ExportOptions, export_traces
from circuitbase.errors import InputError
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from neo4j import Driver

    from circuitbase.settings import Settings

FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
COLUMNS = ("name", "format", "nodes", "edges", "file")
TRACE_SUFFIX = ".safetensors"
ALL = 1_000_000


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="TRACE|SET...")
@click.option("--out", required=True, metavar="FILE", help="The file, or the folder of several (or an fsspec URL).")
@click.option("--format", type=click.Choice(FORMATS), help="Default: by the suffix of --out.")
@click.option("--configuration", help="Beginning of a configuration's name or id, where a set has several.")
@click.option("--min-presence", default=0.3, show_default=True, help="Of a SET: smallest fraction of its traces.")
@click.option("--by", type=click.Choice(["influence", "share"]), default="influence", help="Of a SET: order of edges.")
@click.option("--slug", help="What the graph is called on Neuronpedia; one trace alone has one.")
@click.option("--source-set", metavar="NAME", help="Neuronpedia's name of the dictionary, to show its features.")
@output_options
def export(
    names: tuple[str, ...],
    out: str,
    format: ExportFormat | None,
    configuration: str | None,
    min_presence: float,
    by: Any,
    slug: str | None,
    source_set: str | None,
    output: str | None,
) -> None:
    """Write traces and global circuits for other tools.

    TRACE is a trace's id (or its first digits) or a trace file; each goes out alone. `neuronpedia` and
    `circuit-tracer` are graph JSON, ready for upload, with labels, pins and supernodes; a name that ends in .gz is
    gzipped. A SET goes out as its global circuit, or in these two as all its traces, into a folder.

    `graphml`, `parquet` and `json` are for networkx, Gephi, data frames. Parquet is two files, NAME.nodes.parquet
    and NAME.edges.parquet; JSON is networkx' node-link form. A trace to a .json file without --format is
    `neuronpedia`.

    \b
    Examples:
      circuitbase export capital-en --out capital-en.graphml
      circuitbase export capital-en --out capital-en.parquet --min-presence 0.5
      circuitbase export 3f2a91c0d4e5 --out graph.json --slug austin
      circuitbase export capital-en --format circuit-tracer --out graphs/
      circuitbase export trace.safetensors --out trace.graphml
    """
    options = ExportOptions(out, format, configuration, min_presence, by, slug, source_set)
    settings = load_settings()
    files, stored = _files(names), [name for name in names if not name.endswith(TRACE_SUFFIX)]
    with _connected(settings, needed=bool(stored)) as driver:
        traces, sets = _resolved(driver, stored, settings)
        form = _form(options, of_traces=bool(files or traces))
        if sets and form not in GRAPH_FORMS:
            if len(names) > 1:
                raise InputError(f"a global circuit goes out alone, so name the set {sets[0]} and nothing else")
            rows, refused = _circuit_rows(driver, sets[0], settings, options, form), 0
        else:
            places = files + _in_store(settings, traces + _of_sets(driver, sets, settings))
            several = len(places) > 1 or bool(sets)
            rows, refused = export_traces(driver, places, settings, options, form, several=several)
    show_rows(rows, output=output, columns=COLUMNS)
    if refused:
        sys.exit(1)


def _files(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name.endswith(TRACE_SUFFIX)]


@contextmanager
def _connected(settings: "Settings", *, needed: bool) -> "Iterator[Driver | None]":
    from circuitbase.ingest.connection import open_driver

    if not needed:
        yield None
        return
    with open_driver(settings) as driver:
        yield driver


def _resolved(driver: "Driver | None", names: list[str], settings: "Settings") -> tuple[list[str], list[str]]:
    """Returns the traces and the sets that are named."""
    from circuitbase.queries.removal_target import removal_target

    traces, sets = [], []
    for name in names:
        assert driver is not None
        found = removal_target(driver, name, database=settings.neo4j_database)
        if found.trace_id is None:
            sets.append(name)
        else:
            traces.append(found.trace_id)
    return traces, sets


def _form(options: ExportOptions, *, of_traces: bool) -> ExportFormat:
    if options.format is not None:
        return options.format
    name = options.out.removesuffix(".gz")
    found: list[ExportFormat] = [form for form in ("graphml", "parquet", "json") if name.endswith(SUFFIXES[form])]
    if not found:
        raise InputError(
            f"--out {options.out} should end in .graphml, .parquet or .json, or --format should say what to write"
        )
    return "neuronpedia" if of_traces and found[0] == "json" else found[0]


def _of_sets(driver: "Driver | None", sets: list[str], settings: "Settings") -> list[str]:
    from circuitbase.ingest.stored_traces import every_trace_digest

    found: list[str] = []
    for name in sets:
        assert driver is not None
        ids = sorted(every_trace_digest(driver, database=settings.neo4j_database, prompt_set=name))
        if not ids:
            raise InputError(f"prompt set {name!r} has no stored traces yet; see `circuitbase jobs`")
        found += ids
    return list(dict.fromkeys(found))


def _in_store(settings: "Settings", traces: list[str]) -> list[str]:
    from circuitbase.store.trace_store import TraceStore

    store = TraceStore(settings.store_url)
    return [store.location(trace_id) for trace_id in traces]


def _circuit_rows(
    driver: "Driver | None", prompt_set: str, settings: "Settings", options: ExportOptions, form: Any
) -> list[dict[str, Any]]:
    from circuitbase.cli.reading import add_pending
    from circuitbase.queries.circuit import global_circuit
    from circuitbase.queries.circuit_tables import circuit_tables
    from circuitbase.queries.rollup_choice import choose_rollup
    from circuitbase.queries.token_labels import peak_token_labels
    from circuitbase.store.graph_files import write_tables

    assert driver is not None
    add_pending(driver, settings, prompt_set)
    with driver.session(database=settings.neo4j_database, default_access_mode="READ") as session:
        chosen = choose_rollup(session, prompt_set, configuration=options.configuration)
        found = global_circuit(
            session, chosen, min_presence=options.min_presence, by=options.by, max_units=ALL, max_edges=ALL
        )
        labels = peak_token_labels(session, [unit.id for unit in found.units])
    tables = circuit_tables(found, labels=labels)
    row = {"name": prompt_set, "format": form, "nodes": tables.n_nodes, "edges": tables.n_edges}
    return [{**row, "file": place} for place in write_tables(tables, options.out, form=form)]
