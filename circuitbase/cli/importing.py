"""`import`: graphs of other tools, as traces like ours."""

import sys
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.import_naming import given_naming
from circuitbase.cli.import_rows import count, file_row
from circuitbase.cli.output import output_options, show_rows
from circuitbase.errors import CircuitbaseError, InputError
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from circuitbase.graph.trace import Trace
    from circuitbase.ingest.foreign.importing import ImportOptions

IMPORT_COLUMNS = ("stored", "already_stored", "refused", "nodes", "edges", "labels", "supernodes", "retries")
WRITTEN_COLUMNS = ("written", "refused", "nodes", "edges", "labels", "supernodes")
FILE_COLUMNS = (
    *("file", "format", "model", "dictionary", "tokens", "nodes", "edges", "features", "errors", "outputs", "labels"),
    *("supernodes", "warnings"),
)


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--set", "prompt_set", metavar="NAME", help="Also put the prompts into this set.")
@click.option("--out", metavar="FOLDER", help="Only write trace files here (a path or an fsspec URL).")
@click.option("--dry-run", is_flag=True, help="Only say what each file holds.")
@click.option("--model", help="The model that the graphs are of: a folder, a hub id, or a packaged one's name.")
@click.option("--dictionary", help="Its dictionary: a folder, a hub id, or the name of a packaged model.")
@click.option("--model-name", metavar="NAME", help="What the model is called, in place of what files say.")
@click.option("--dictionary-name", metavar="NAME", help="What the dictionary is called, in place of what files say.")
@click.option("--any-model-name", is_flag=True, help="Take a dictionary that names another model.")
@click.option("--node-threshold", type=float, default=0.8, show_default=True, help="Of a .pt: influence of kept nodes.")
@click.option("--edge-threshold", type=float, default=0.98, show_default=True, help="Of a .pt: that of kept edges.")
@click.option("--full", is_flag=True, help="Do not prune a .pt.")
@output_options
def import_(  # noqa: PLR0913  # one parameter per option
    files: tuple[str, ...],
    prompt_set: str | None,
    out: str | None,
    dry_run: bool,
    model: str | None,
    dictionary: str | None,
    model_name: str | None,
    dictionary_name: str | None,
    any_model_name: bool,
    node_threshold: float,
    edge_threshold: float,
    full: bool,
    output: str | None,
) -> None:
    """Bring attribution graphs of circuit-tracer and Neuronpedia into the store and Neo4j.

    FILE is circuit-tracer's raw .pt, a graph JSON of either (gzipped or not), a graph-metadata.json that lists
    such files beside it, or a folder of them; a path or an fsspec URL. No code in a file is run.

    A graph becomes a trace like ours, under a configuration of its own. Influence and scores are computed anew by our
    definitions; a .pt is pruned like a trace of ours, JSON comes pruned. There is no account of constants, so the
    trace is marked unproven. Labels come onto the units; pins and supernodes stay with the trace. Files that name
    the same model and dictionary share their units; --model and --dictionary say whose units they truly are.

    A file that is refused is named with the reason and changes nothing; then the exit code is 1.

    \b
    Examples:
      circuitbase import graph.json --dry-run
      circuitbase import graphs/ --set capitals
      circuitbase import raw.pt --model ./gpt2 --dictionary ./transcoders --node-threshold 0.9
      circuitbase import graphs/*.json.gz --out traces/
    """
    from circuitbase.ingest.foreign.cutting import Cutting
    from circuitbase.ingest.foreign.importing import ImportOptions
    from circuitbase.ingest.foreign.reading import find_graph_files

    cutting = Cutting(prune=not full, node_threshold=node_threshold, edge_threshold=edge_threshold)
    naming = given_naming(model, dictionary, model_name, dictionary_name, any_model_name=any_model_name)
    options = ImportOptions(naming, cutting)
    if out is not None and (prompt_set is not None or dry_run):
        raise InputError("--out only writes trace files, so --set and --dry-run do not go with it; leave one out")
    locations = find_graph_files(files)
    if dry_run:
        refused = _describe(locations, options, output=output)
    elif out is not None:
        refused = _write(locations, options, out, output=output)
    else:
        refused = _store(locations, options, prompt_set, output=output)
    if refused:
        sys.exit(1)


def _describe(locations: list[str], options: "ImportOptions", *, output: str | None) -> int:
    rows: list[dict[str, Any]] = []
    refused = _each(locations, options, lambda location, trace: rows.append(file_row(location, trace)), quiet=True)
    show_rows(rows, output=output, columns=FILE_COLUMNS)
    return refused


def _write(locations: list[str], options: "ImportOptions", out: str, *, output: str | None) -> int:
    from circuitbase.store.trace_store import TraceStore

    folder, found = TraceStore(out), dict.fromkeys(WRITTEN_COLUMNS, 0)

    def write(location: str, trace: "Trace") -> None:
        folder.save(trace)
        found["written"] += 1
        count(found, trace)

    found["refused"] = _each(locations, options, write)
    show_rows([found], output=output, columns=WRITTEN_COLUMNS)
    return found["refused"]


def _store(locations: list[str], options: "ImportOptions", prompt_set: str | None, *, output: str | None) -> int:
    from circuitbase.ingest.connection import open_driver
    from circuitbase.ingest.foreign.importing import store_imported
    from circuitbase.ingest.migrations import ensure_schema
    from circuitbase.store.trace_store import TraceStore

    settings = load_settings()
    store, database = TraceStore(settings.store_url), settings.neo4j_database
    found = dict.fromkeys(IMPORT_COLUMNS, 0)
    with open_driver(settings) as driver:
        ensure_schema(driver, database=database)

        def keep(location: str, trace: "Trace") -> None:
            stored = store_imported(trace, driver=driver, store=store, database=database, prompt_set=prompt_set)
            found["stored" if stored.stored else "already_stored"] += 1
            found["retries"] += stored.retries
            if stored.stored:
                count(found, trace)

        found["refused"] = _each(locations, options, keep)
    show_rows([found], output=output, columns=IMPORT_COLUMNS)
    return found["refused"]


def _each(
    locations: list[str], options: "ImportOptions", use: "Callable[[str, Trace], None]", *, quiet: bool = False
) -> int:
    """Reads the files one by one and hands their traces on; returns how many were refused.

    What is to be said of a graph is said when it is first so, unless `quiet`; refusals are said again at the end
    where a bar has scrolled them away.
    """
    from circuitbase.cli.stored import file_bar
    from circuitbase.errors import DatabaseError, GraphFileError, StoreError
    from circuitbase.ingest.foreign.importing import imported_trace

    refused: list[str] = []
    said: set[str] = set()
    with file_bar(locations, description="imported") as (counted, say):
        for location in counted:
            try:
                trace = imported_trace(location, options)
                use(location, trace)
            except (DatabaseError, GraphFileError, StoreError) as error:
                refused.append(location)
                say(f"refused: {_of_file(location, error)}")
                continue
            for warning in trace.metadata.warnings:
                if warning not in said and not quiet:
                    say(f"{location}: {warning}")
                    said.add(warning)
    if len(refused) > 1:
        click.echo(f"{len(refused)} of {len(locations)} files were refused: {', '.join(refused)}", err=True)
    return len(refused)


def _of_file(location: str, error: CircuitbaseError) -> str:
    sentence = str(error)
    return sentence if location in sentence else f"{location}: {sentence}"
