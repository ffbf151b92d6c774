"""What `motifs` shows: types against the null model and instances that recur, printed, drawn and stored."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from circuitbase.cli.motif_rows import ENRICHMENT_COLUMNS, enrichment_rows, instance_columns, instance_rows
from circuitbase.cli.output import chosen_format, show_rows
from circuitbase.cli.reading_bar import reading_bar
from circuitbase.settings import Settings

if TYPE_CHECKING:
    from neo4j import Driver, Session

    from circuitbase.graph.motifs.recurring import Recurring
    from circuitbase.queries.motifs import SetMotifs
    from circuitbase.queries.rollup_choice import ChosenRollup

LEVEL = 0.05


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

    with reading_bar() as progress:
        traces = summed_trace_ids(session, chosen)
        where = occurrences(unit_graphs(session, traces, doing="occurrences", progress=progress), found.motifs)
    new = store_motifs(driver, chosen, where, created_by="circuitbase motifs", database=settings.neo4j_database)
    return f"{new} of {len(where)} motifs were new to Neo4j"


def write_plot(found: "SetMotifs", path: Path) -> None:
    """Writes the enrichment as a PNG or SVG, as the suffix says; raises StoreError if it cannot be written."""
    from circuitbase.cli.plotting import picture_suffix
    from circuitbase.pages.motif_plot import motif_picture
    from circuitbase.store.trace_store import write_bytes

    title = f"Motifs of {found.rollup.prompt_set} ({found.traces} traces)"
    write_bytes(motif_picture(found.types, picture_suffix(path), title=title), str(path))
