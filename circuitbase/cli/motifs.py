"""`motifs`: which small shapes a prompt set's traces have, and which of their instances recur."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.motif_rows import ENRICHMENT_COLUMNS, enrichment_rows, instance_columns, instance_rows
from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.cli.reading import reading_session
from circuitbase.errors import InputError
from circuitbase.settings import Settings, load_settings

if TYPE_CHECKING:
    from neo4j import Driver, Session

    from circuitbase.graph.motifs.recurring import Recurring
    from circuitbase.queries.motifs import SetMotifs
    from circuitbase.queries.rollup_choice import ChosenRollup
    from circuitbase.queries.unit_graphs import Progress

LEVEL = 0.05


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
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the enrichment into this PNG file.")
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
            with trace_bar() as progress:
                listed = set_instances(
                    session, chosen, type, min_presence=min_presence, top=limit, min_size=min_size, progress=progress
                )
            show_instances(session, chosen, listed, asked=min_presence, output=output)
            if store:
                click.echo(stored(driver, session, chosen, listed, settings), err=True)
            return
        with trace_bar() as progress:
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


@contextmanager
def trace_bar() -> "Iterator[Progress]":
    """Yields a callback that shows how many traces are done, on a terminal's standard error."""
    from circuitbase.cli.job_bars import bars

    with bars() as shown:
        tasks: dict[str, Any] = {}

        def show(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = shown.add_task(doing, total=total)
            shown.update(tasks[doing], completed=done)

        yield show


def show_enrichment(found: "SetMotifs", *, output: str | None) -> None:
    """Prints the types against the null model, the most enriched first, and what to know about them."""
    from circuitbase.graph.motifs.enrichment import least_corrected_p

    rows = enrichment_rows(found.types)
    if chosen_format(output) == "table":
        click.echo(
            f"Motifs of {found.rollup.prompt_set}: {found.traces} traces, {found.options.samples} samples of the "
            f"null model with {found.moved_share:.0%} of the edges elsewhere, p corrected by {found.correction}\n"
            f"{found.rollup.configuration_name}"
        )
        show_rows(rows, output=output, columns=ENRICHMENT_COLUMNS)
    else:
        show_rows(rows, output=output)
    if found.traces < found.rollup.traces:
        click.echo(
            f"Of the {found.rollup.traces} traces {found.traces} were drawn; --max-traces {found.rollup.traces} "
            "takes all.",
            err=True,
        )
    least = least_corrected_p(found.types, samples=found.options.samples)
    if least > LEVEL:
        tested = round(least * (1 + found.options.samples))
        click.echo(
            f"One type alone cannot fall below a corrected p of {least:.2g} with {found.options.samples} samples; "
            f"--samples {round(tested / LEVEL) - 1} would let it reach {LEVEL:g}.",
            err=True,
        )


def show_instances(
    session: "Session", chosen: "ChosenRollup", found: "Recurring", *, asked: float, output: str | None
) -> None:
    """Prints the instances that recur, the best supported first."""
    from circuitbase.queries.circuit import least_traces
    from circuitbase.queries.token_labels import peak_token_labels
    from circuitbase.queries.unit_graphs import unit_names

    units = sorted({unit for motif in found.motifs for unit in motif.units})
    rows = instance_rows(found, unit_names(session, units), peak_token_labels(session, units))
    if chosen_format(output) == "table":
        click.echo(f"Motifs of {chosen.prompt_set} that recur over {chosen.traces} traces\n{chosen.configuration_name}")
        title = f"Instances ({len(rows)} of {found.n_found}, in at least {found.least} traces)"
        show_rows(rows, output=output, title=title, columns=instance_columns(found))
    else:
        show_rows(rows, output=output)
    if not found.motifs:
        click.echo(f"No such motif is in {found.least} traces or more; try a smaller --min-presence.", err=True)
    if found.is_cut:
        click.echo("There were too many instances to keep; of those in every trace some may be missing.", err=True)
    elif found.least > least_traces(chosen.traces, min_presence=asked):
        click.echo(
            f"There were too many instances to keep; what is listed is exact for at least {found.least} traces.",
            err=True,
        )


def stored(driver: "Driver", session: "Session", chosen: "ChosenRollup", found: "Recurring", settings: Settings) -> str:
    """Puts the listed instances into Neo4j, with the traces of each, and returns a sentence about it."""
    from circuitbase.graph.motifs.occurrences import occurrences
    from circuitbase.queries.motif_storing import store_motifs
    from circuitbase.queries.unit_graphs import summed_trace_ids, unit_graphs

    with trace_bar() as progress:
        traces = summed_trace_ids(session, chosen)
        where = occurrences(unit_graphs(session, traces, doing="occurrences", progress=progress), found.motifs)
    new = store_motifs(driver, chosen, where, created_by="circuitbase motifs", database=settings.neo4j_database)
    return f"{new} of {len(where)} motifs were new to Neo4j"


def write_plot(found: "SetMotifs", path: Path) -> None:
    """Writes the PNG of the enrichment; raises StoreError if it cannot be written."""
    from circuitbase.pages.motif_plot import motif_png
    from circuitbase.store.trace_store import write_bytes

    title = f"Motifs of {found.rollup.prompt_set} ({found.traces} traces)"
    write_bytes(motif_png(found.types, title=title), str(path))
