"""`circuit` and `contrast`: what recurs over traces, and what differs between them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.circuit_tables import show_circuit, show_contrast, show_supernodes
from circuitbase.cli.output import output_options
from circuitbase.cli.plotting import (
    PAGES,
    PICTURES,
    plot_file,
    write_circuit_plot,
    write_presence_plot,
    write_volcano,
)
from circuitbase.cli.selecting import selecting_options, two_values
from circuitbase.cli.unit_view import supernodes_option
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from circuitbase.queries.circuit import GlobalCircuit


PICTURE_UNITS, PICTURE_EDGES = 1000, 5000


@click.command()
@click.argument("prompt_set", metavar="[SET]", required=False)
@click.option("--traces", "cypher", metavar="CYPHER", help="Instead of a SET, the traces that this Cypher returns.")
@selecting_options
@supernodes_option
@click.option("--min-presence", default=0.3, show_default=True, help="Smallest fraction of the traces.")
@click.option(
    "--by",
    type=click.Choice(["influence", "share"]),
    default="influence",
    show_default=True,
    help="Rank edges by mean influence over all traces, or by mean share where they are present.",
)
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Most units, edges and paths to show."
)
@click.option("--configuration", help="Beginning of a configuration's name or id, where there are several.")
@click.option(
    "--bootstrap",
    type=click.IntRange(min=100),
    metavar="SAMPLES",
    help="Add intervals of the edges by resampling clusters so often; reads every trace.",
)
@click.option(
    "--coverage",
    is_flag=True,
    help="Say how complete the circuit is: coverage, new edges to expect, agreement of halves; reads every trace.",
)
@click.option(
    "--complete",
    is_flag=True,
    help="Measure the shown edges again in every trace, unpruned (needs --model).",
)
@click.option("--model", help="With --dictionary: add the virtual weight of each edge between features.")
@click.option(
    "--dictionary", help="The dictionary that was traced: a folder, a hub id, or the name of a packaged model."
)
@click.option("--paths", is_flag=True, help="Count the support of paths in every trace instead of 100 of them.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Also draw the circuit into this file.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=plot_file(*PAGES),
    help="Also draw the circuit, layers up and roles across: a .png or .svg, or an interactive .html of one file.",
)
@click.option(
    "--plot-units",
    type=click.IntRange(1, PICTURE_UNITS),
    help="Most units that --plot draws, by mean influence: 30 in a picture, 200 on a page.",
)
@click.option(
    "--plot-presence",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=plot_file(*PICTURES),
    help="Also plot presence against effect of the edges into a .png or .svg.",
)
@click.option("--save-as", metavar="NAME", help="Put the prompts of these traces into a set of this name.")
@click.option("--as-cypher", is_flag=True, help="Print the Cypher that gives the edges, to go on in Neo4j Browser.")
@output_options
def circuit(  # noqa: PLR0913  # one parameter per option
    prompt_set: str | None,
    cypher: str | None,
    labels: dict[str, Any],
    by_role: bool,
    supernodes: bool,
    most_traces: int,
    min_presence: float,
    by: Any,
    limit: int,
    configuration: str | None,
    bootstrap: int | None,
    coverage: bool,
    complete: bool,
    model: str | None,
    dictionary: str | None,
    paths: bool,
    png: Path | None,
    plot: Path | None,
    plot_units: int | None,
    plot_presence: Path | None,
    save_as: str | None,
    as_cypher: bool,
    output: str | None,
) -> None:
    """Show the global circuit of a prompt set, or of any traces: what recurs over them.

    Presence is the fraction of traces that have the unit or edge, with Wilson's 95 % interval; mean
    influence is over all traces, mean weight and share over those that have the edge. Below the edges are
    their paths, with the traces that realise both edges through the same trace node. The virtual weight of two
    features (--model, --dictionary) is what the one writes along what the other reads, whatever the prompt: a strong
    edge with a small one comes through attention, a large one without an edge is interference. --complete shows what
    pruning hid: an edge measured again is 0 only where one of its units is inactive.

    \b
    Examples:
      circuitbase circuit capital-en
      circuitbase circuit capital-en --by-role --coverage --bootstrap 1000
      circuitbase circuit capital-en --supernodes
      circuitbase circuit capital-en --where answer_language=en --png capital-en.png
      circuitbase circuit capital-en --by-role --plot capital-en.html --plot-presence presence.svg
      circuitbase circuit --traces "MATCH (t:Trace) WHERE t.correct RETURN t LIMIT 200"
    """
    from circuitbase.cli.circuit_reading import Asked, read_circuit
    from circuitbase.cli.circuit_trust import show_trust

    if (prompt_set is None) == (cypher is None):
        raise click.UsageError("name a prompt SET, or give --traces with a Cypher that returns traces")
    if plot_units is not None and plot is None:
        raise click.UsageError("--plot-units says how much --plot draws, so it needs --plot")
    if as_cypher and (plot or plot_presence):
        raise click.UsageError("--as-cypher prints a query and reads nothing, so there is nothing to plot")
    if as_cypher:
        if prompt_set is None or labels or by_role or supernodes:
            raise click.UsageError("--as-cypher gives the circuit of a whole SET; leave out the other choices")
        click.echo(circuit_cypher(prompt_set, min_presence=min_presence, limit=limit))
        return
    if (model is None) != (dictionary is None):
        raise click.UsageError("virtual weights need both --model and --dictionary")
    if complete and (model is None or by_role or supernodes):
        raise click.UsageError("--complete measures units themselves: it needs --model and --dictionary, and no groups")
    asked = Asked(
        prompt_set=prompt_set,
        cypher=cypher,
        labels=labels,
        by_role=by_role,
        supernodes=supernodes,
        most_traces=most_traces,
        min_presence=min_presence,
        by=by,
        most_units=max(limit, PICTURE_UNITS if png or plot or plot_presence else 0),
        most_edges=max(limit, PICTURE_EDGES if png or plot or plot_presence else 0),
        shown_edges=limit,
        configuration=configuration,
        bootstrap=bootstrap,
        coverage=coverage,
        complete=(model, dictionary) if complete and model is not None and dictionary is not None else None,
        all_paths=paths,
        save_as=save_as,
    )
    found = read_circuit(load_settings(), asked)
    virtual = None
    if model is not None and dictionary is not None:
        from circuitbase.cli.virtual_columns import virtual_columns

        virtual = virtual_columns(found.circuit.edges[:limit], model=model, dictionary=dictionary)
    show_circuit(found.circuit, found.labels, limit=limit, output=output, virtual=virtual)
    if found.supernodes:
        show_supernodes(found.supernodes, output=output)
    show_trust(found, limit=limit, output=output)
    if png:
        write_picture(found.circuit, found.labels, png)
        click.echo(f"Drawn: {png}", err=True)
    if plot:
        write_circuit_plot(found.circuit, found.labels, plot, units=plot_units)
    if plot_presence:
        write_presence_plot(found.circuit, found.labels, plot_presence)


@click.command()
@click.argument("first", metavar="SET")
@click.argument("second", metavar="[SET]", required=False)
@click.option(
    "--split",
    metavar="LABEL=VALUE,VALUE",
    callback=two_values,
    help="Instead of a second SET, compare the prompts of one SET that have the first value of a label and the second.",
)
@selecting_options
@supernodes_option
@click.option("--min-presence", default=0.3, show_default=True, help="Smallest fraction of a set's traces.")
@click.option("--limit", default=12, show_default=True, type=click.IntRange(min=1), help="Most rows of each list.")
@click.option("--configuration", help="Beginning of a configuration's name or id, where the sets share several.")
@click.option("--test", is_flag=True, help="Test every edge over single traces, labels permuted over clusters.")
@click.option("--permutations", default=9_999, show_default=True, type=click.IntRange(min=99), help="Of --test.")
@click.option("--seed", default=0, show_default=True, help="Of the permutations, and of matching lengths.")
@click.option("--rate", default=0.05, show_default=True, type=click.FloatRange(0, 1), help="Of false discoveries.")
@click.option("--match-length", is_flag=True, help="With --test, compare as many prompts of each length on both sides.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=plot_file(*PICTURES),
    help="With --test, also plot effect against sureness of every edge (a volcano) into a .png or .svg.",
)
@output_options
def contrast(  # noqa: PLR0913  # one parameter per option
    first: str,
    second: str | None,
    split: Any,
    labels: dict[str, Any],
    by_role: bool,
    supernodes: bool,
    most_traces: int,
    min_presence: float,
    limit: int,
    configuration: str | None,
    test: bool,
    permutations: int,
    seed: int,
    rate: float,
    match_length: bool,
    plot: Path | None,
    output: str | None,
) -> None:
    """Show what two prompt sets share and where they differ, or the two values of a label in one.

    From the sums of traced edges: an edge that is absent was inactive or pruned. The log odds ratio is
    positive where the first has a unit or edge more often; ½ is added to each count. --test compares the share of
    each edge trace by trace, and controls the rate of false discoveries (Benjamini-Hochberg).

    \b
    Examples:
      circuitbase contrast capital-en capital-fr
      circuitbase contrast capital-en capital-fr --test --match-length
      circuitbase contrast two-hop --split correct=true,false --test --plot volcano.svg
    """
    from circuitbase.cli.contrast_reading import AskedContrast, compared, tested
    from circuitbase.cli.contrast_test_rows import show_tested

    if (second is None) == (split is None):
        raise click.UsageError("name a second SET, or --split one SET by two values of a label")
    if match_length and not test:
        raise click.UsageError("--match-length draws single traces, so it needs --test")
    if plot and not test:
        raise click.UsageError("--plot shows how sure each difference is, so it needs --test")
    asked = AskedContrast(
        first=first,
        second=second,
        split=split,
        labels=labels,
        by_role=by_role,
        supernodes=supernodes,
        most_traces=most_traces,
        min_presence=min_presence,
        configuration=configuration,
        permutations=permutations,
        seed=seed,
        match_length=match_length,
    )
    if test:
        found, names = tested(load_settings(), asked)
        show_tested(found, names, rate=rate, limit=limit, output=output)
        if plot:
            write_volcano(found, names, plot, rate=rate)
        return
    seen, names = compared(load_settings(), asked)
    show_contrast(seen, names, limit=limit, output=output)


def circuit_cypher(prompt_set: str, *, min_presence: float, limit: int) -> str:
    """Returns the query of a global circuit's edges with its parameters, as Neo4j Browser takes it."""
    import json

    from circuitbase.queries import library

    query = library.load("circuit-edges")
    values = query.arguments({"set": prompt_set, "min_presence": min_presence, "limit": limit})
    lines = [f":param {name} => {json.dumps(value, ensure_ascii=False)};" for name, value in values.items()]
    return "\n".join([*lines, f"{query.text};"])


def write_picture(found: "GlobalCircuit", labels: dict[str, str], path: Path) -> None:
    """Writes the PNG of a global circuit; raises StoreError if it cannot be written."""
    from circuitbase.pages.circuit_plot import circuit_png
    from circuitbase.pages.global_circuit_drawing import drawing_of
    from circuitbase.store.trace_store import write_bytes

    write_bytes(circuit_png(drawing_of(found, labels)), str(path))
