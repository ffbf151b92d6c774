"""`subcircuits`: what the traces of a prompt set share, as tables and rows, and kept in the database."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.cli.reading import reading_session
from circuitbase.cli.reading_bar import reading_bar
from circuitbase.cli.unit_view import supernodes_option
from circuitbase.errors import InputError
from circuitbase.schema.unit_names import input_name
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from circuitbase.queries.subcircuits import RankedSubcircuit, SubcircuitOptions, SubcircuitReport

COLUMNS = ("number", "size", "traces", "support", "lift", "background_traces", "influence", "units")
EDGE_COLUMNS = ("number", "source", "target", "position")


@click.command()
@click.argument("prompt_set", metavar="SET")
@click.option(
    "--min-support", type=int, metavar="K", help="Smallest number of traces.  [default: 30 % of them, 2 at least]"
)
@click.option("--background", metavar="SET2", help="Order by lift: how much more often than in this set.")
@click.option("--top", default=20, show_default=True, type=click.IntRange(min=1), help="How many to find.")
@click.option(
    "--budget", default=5000, show_default=True, type=click.IntRange(min=1), help="Most sets of edges to try."
)
@click.option("--errors", is_flag=True, help="Let reconstruction errors be part of them.")
@click.option("--no-tokens", is_flag=True, help="Leave input tokens out.")
@click.option(
    "--show-edges", default=1, show_default=True, type=click.IntRange(min=0), help="List edges of the first N."
)
@click.option("--configuration", help="Beginning of a configuration's name or id, where the set has several.")
@click.option("--store", "keep", is_flag=True, help="Keep them in Neo4j, as Motif {kind: 'subcircuit'}.")
@supernodes_option
@output_options
def subcircuits(  # noqa: PLR0913  # one parameter per option
    prompt_set: str,
    min_support: int | None,
    background: str | None,
    top: int,
    budget: int,
    errors: bool,
    no_tokens: bool,
    show_edges: int,
    configuration: str | None,
    keep: bool,
    supernodes: bool,
    output: str | None,
) -> None:
    """Find the subcircuits that the traces of SET share: connected edges, realised through the same trace nodes.

    Closed sets (no touching edge can join at equal support), the TOP best by size times support, then ordered by
    lift where there is a background set. Influence is what their edges carry into their last units, on average over
    the traces that hold them.

    \b
    Examples:
      circuitbase subcircuits capital-en --min-support 4 --background agreement
      circuitbase subcircuits capital-en --no-tokens --top 5 --store
    """
    from circuitbase.queries.rollup_choice import choose_rollup, choose_two_rollups
    from circuitbase.queries.subcircuit_storing import store_subcircuits
    from circuitbase.queries.subcircuits import SubcircuitOptions
    from circuitbase.queries.subcircuits import subcircuits as shared
    from circuitbase.queries.supernode_storing import required_supernodes

    if keep and supernodes:
        raise InputError("--store keeps subcircuits of units, not of supernodes; leave out --store or --supernodes")
    settings = load_settings()
    options = SubcircuitOptions(min_support=min_support, top=top, budget=budget, errors=errors, tokens=not no_tokens)
    with reading_session(settings, *filter(None, (prompt_set, background))) as (driver, session):
        if background is None:
            chosen, behind = choose_rollup(session, prompt_set, configuration=configuration), None
        else:
            chosen, behind = choose_two_rollups(session, prompt_set, background, configuration=configuration)
        stored = required_supernodes(session, chosen) if supernodes else []
        with reading_bar() as progress:
            found = shared(session, chosen, behind, options=options, stored=stored, progress=progress)
        if keep:
            made_by = _made_by(prompt_set, background, found.min_support, options)
            store_subcircuits(driver, found, created_by=made_by, database=settings.neo4j_database)
    show_subcircuits(found, show_edges=show_edges, output=output)
    if keep:
        click.echo(f"Stored {len(found.found)} subcircuits of {prompt_set}.", err=True)


def show_subcircuits(found: "SubcircuitReport", *, show_edges: int, output: str | None) -> None:
    """Prints subcircuits: a table and the edges of the first, or one row with its edges for each."""
    ranked = list(enumerate(found.found, start=1))
    rows = [subcircuit_row(number, each, found) for number, each in ranked]
    if chosen_format(output) != "table":
        edges = [
            {"edges": [edge_row(number, edge, found) for edge in each.subcircuit.edges]} for number, each in ranked
        ]
        show_rows([{**row, **more} for row, more in zip(rows, edges, strict=True)], output=output)
    else:
        against = f", by lift against {found.background.prompt_set}" if found.background else ""
        click.echo(
            f"Subcircuits of {found.rollup.prompt_set}: {found.rollup.traces} traces, in at least "
            f"{found.min_support} of them through the same trace nodes\n{found.rollup.configuration_name}"
        )
        title = f"The best {len(rows)} by size times support{against} ({found.n_edges} edges could be part of them)"
        show_rows(rows, output=output, title=title, columns=COLUMNS)
        for number, each in ranked[:show_edges]:
            edge_rows = [edge_row(number, edge, found) for edge in each.subcircuit.edges]
            show_rows(edge_rows, output=output, title=f"Edges of number {number}", columns=EDGE_COLUMNS)
        if any(each.lift and each.lift.corrected for each in found.found):
            click.echo("Lift with no trace in the background: ½ added to both supports, 1 to both numbers of traces.")
    if found.limit_sentence:
        click.echo(found.limit_sentence, err=True)


def subcircuit_row(number: int, ranked: "RankedSubcircuit", found: "SubcircuitReport") -> dict[str, Any]:
    """Returns one subcircuit as a row."""
    each, lift = ranked.subcircuit, ranked.lift
    return {
        "number": number,
        "size": each.size,
        "traces": each.support,
        "support": each.support / found.rollup.traces,
        "lift": lift.value if lift else None,
        "lift_corrected": lift.corrected if lift else None,
        "background_traces": lift.background_support if lift else None,
        "influence": each.influence,
        "units": ", ".join(found.names[unit] for unit in each.units),
    }


def edge_row(number: int, edge: Any, found: "SubcircuitReport") -> dict[str, Any]:
    """Returns one edge of a subcircuit as a row."""
    return {
        "number": number,
        "source": found.names[edge.source],
        "target": input_name(found.names[edge.target], edge.port),
        "position": "same" if edge.same_position else "other",
    }


def _made_by(prompt_set: str, background: str | None, least: int, options: "SubcircuitOptions") -> str:
    words = ["circuitbase", "subcircuits", prompt_set, "--min-support", str(least)]
    words += ["--background", background] if background else []
    words += ["--top", str(options.top), "--budget", str(options.budget)]
    words += ["--errors"] if options.errors else []
    return " ".join(words + ([] if options.tokens else ["--no-tokens"]))
