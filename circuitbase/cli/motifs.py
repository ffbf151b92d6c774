"""`motifs`: which small shapes a prompt set's traces have, and which of their instances recur."""

from pathlib import Path
from typing import Any

import click

from circuitbase.cli.motif_output import show_enrichment, show_instances, stored, write_plot
from circuitbase.cli.output import output_options
from circuitbase.cli.plotting import PICTURES, plot_file
from circuitbase.cli.reading import reading_session
from circuitbase.cli.reading_bar import reading_bar
from circuitbase.errors import InputError
from circuitbase.settings import load_settings


@click.command()
@click.argument("prompt_set", metavar="SET")
@click.option("--samples", default=999, show_default=True, help="Samples of the null model.")
@click.option("--rounds", default=20, show_default=True, help="Rounds of swaps that lead to each sample.")
@click.option("--seed", default=0, show_default=True, help="Seed of the samples, and of the traces that are drawn.")
@click.option("--min-size", default=3, show_default=True, metavar="M", help="Fewest branches of a fan.")
@click.option(
    "--detail",
    type=click.Choice(["full", "signs", "positions", "shape"]),
    default="full",
    show_default=True,
    help="What tells types apart beside their shape: signs and positions, one of them, or neither.",
)
@click.option(
    "--correction",
    type=click.Choice(["benjamini-hochberg", "holm"]),
    default="benjamini-hochberg",
    show_default=True,
    help="How p values are corrected over types.",
)
@click.option("--max-traces", default=200, show_default=True, help="Most traces that are randomised.")
@click.option("--instances", "wanted", metavar="TYPE", help="List instances of a type such as chain or chain:++:so.")
@click.option(
    "--min-presence", default=0.1, show_default=True, help="Smallest fraction of the traces, with --instances."
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Most instances to list.")
@click.option("--store", is_flag=True, help="Put the listed instances into Neo4j as Motif nodes.")
@click.option("--configuration", help="Beginning of a configuration's name or id, where the set has several.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=plot_file(*PICTURES),
    help="Draw the enrichment into this .png or .svg file.",
)
@output_options
def motifs(  # noqa: PLR0913  # one parameter per option
    prompt_set: str,
    samples: int,
    rounds: int,
    seed: int,
    min_size: int,
    detail: Any,
    correction: Any,
    max_traces: int,
    wanted: str | None,
    min_presence: float,
    limit: int,
    store: bool,
    configuration: str | None,
    plot: Path | None,
    output: str | None,
) -> None:
    """Show which small shapes are more frequent in a prompt set's traces than chance makes them.

    Chance is a null model that swaps edges between layers and kinds of units, signs and position classes kept, so that
    every node keeps its degrees; fans follow from degrees and are counted only. A type is its shape, the signs of its
    edges (+ or -) and whether each stays at one token position (s) or goes to another (o); docs/motifs.md defines them.
    p is (1 + samples with at least as many) / (1 + samples), of the count summed over traces.

    \b
    Examples:
      circuitbase motifs capital-en
      circuitbase motifs capital-en --detail shape --correction holm --plot motifs.png
      circuitbase motifs capital-en --instances coherent-ffl:+++ --min-presence 0.5 --store
    """
    if plot and wanted:
        raise InputError("--plot draws the enrichment of all types; leave out --instances")
    if store and not wanted:
        raise InputError("--store puts listed instances into Neo4j; say of which type with --instances")

    from circuitbase.graph.motifs.null_model import NullOptions
    from circuitbase.queries.motifs import parsed_type, set_instances, set_motifs
    from circuitbase.queries.rollup_choice import choose_rollup

    type = parsed_type(wanted) if wanted else None
    settings = load_settings()
    with reading_session(settings, prompt_set) as (driver, session):
        chosen = choose_rollup(session, prompt_set, configuration=configuration)
        if chosen.traces == 1:
            click.echo(f"{prompt_set} has one trace, so nothing here says what recurs.", err=True)
        if type is not None:
            with reading_bar() as progress:
                listed = set_instances(
                    session, chosen, type, min_presence=min_presence, top=limit, min_size=min_size, progress=progress
                )
            show_instances(session, chosen, listed, asked=min_presence, output=output)
            if store:
                click.echo(stored(driver, session, chosen, listed, settings), err=True)
            return
        with reading_bar() as progress:
            found = set_motifs(
                session,
                chosen,
                options=NullOptions(samples=samples, rounds=rounds, seed=seed),
                min_size=min_size,
                detail=detail,
                correction=correction,
                max_traces=max_traces,
                progress=progress,
            )
    show_enrichment(found, output=output)
    if plot:
        write_plot(found, plot)
        click.echo(f"Drawn: {plot}", err=True)
