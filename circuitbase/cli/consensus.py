"""`consensus`: what of a prompt set's circuit holds under every configuration, and what under some."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import output_options
from circuitbase.cli.reading import reading_session
from circuitbase.cli.reading_bar import reading_bar_of
from circuitbase.cli.selecting import selecting_options
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from neo4j import Session

    from circuitbase.queries.edge_counts import EdgeCounts
    from circuitbase.queries.relabelling import Relabelling
    from circuitbase.queries.selection import Selection
    from circuitbase.store.trace_store import TraceStore


@click.command()
@click.argument("prompt_set", metavar="SET")
@click.option(
    "--configuration",
    "wanted",
    multiple=True,
    help="Beginning of a configuration's name or id; can be repeated. By default all that the set has.",
)
@selecting_options
@click.option("--min-presence", default=0.3, show_default=True, help="Smallest fraction of a configuration's traces.")
@click.option("--per-prompt", is_flag=True, help="Add how far they agree prompt by prompt; reads every trace.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Most edges of each list.")
@output_options
def consensus(
    prompt_set: str,
    wanted: tuple[str, ...],
    labels: dict[str, Any],
    by_role: bool,
    most_traces: int,
    min_presence: float,
    per_prompt: bool,
    limit: int,
    output: str | None,
) -> None:
    """Show which edges of a SET hold under all of its configurations (core), and which under some (contingent).

    The same prompts, traced under several targets, caps, dictionaries or prunings, are compared over those that all
    configurations have. An edge holds where its presence reaches --min-presence; `kept` is the fraction of
    configurations that keep it in a prompt's trace, averaged over prompts (CIRCUS, 2603.00523).

    Where only prunings vary, the core is the strictest one's circuit and the union the loosest one's, and nothing more
    is learned: vary targets, caps or dictionaries too. Units compare by id, so different dictionaries share
    tokens, outputs and heads only.

    \b
    Examples:
      circuitbase consensus capital-en
      circuitbase consensus capital-en --configuration atlas/tc/probable --configuration atlas/tc/answer --by-role
    """
    from circuitbase.cli.consensus_rows import show_consensus
    from circuitbase.queries.consensus import consensus as found_consensus
    from circuitbase.queries.consensus import consensus_by_prompt
    from circuitbase.queries.consensus_choice import chosen_configurations, on_common_prompts
    from circuitbase.queries.relabelling import by_role as roles
    from circuitbase.queries.selection import labelled, whole_set
    from circuitbase.queries.token_labels import labels_with_roles
    from circuitbase.store.trace_store import TraceStore

    settings = load_settings()
    store, relabelling = TraceStore(settings.store_url), roles if by_role else None
    with reading_session(settings, prompt_set) as (_, session):
        whole = [whole_set(session, rollup) for rollup in chosen_configurations(session, prompt_set, wanted)]
        selections = on_common_prompts([labelled(each, **labels) if labels else each for each in whole])
        counts = [_counts(session, store, each, relabelling, most_traces=most_traces) for each in selections]
        found = found_consensus(session, selections, counts=counts, min_presence=min_presence)
        shown = [*found.core[:limit], *found.contingent[:limit]]
        agreement = None
        if per_prompt:
            with reading_bar_of("comparing prompts") as heard:
                agreement = consensus_by_prompt(
                    session, store, selections, [each.edge for each in shown], relabelling=relabelling, heard=heard
                )
        names = labels_with_roles(session, [end for each in shown for end in each.edge[:2]])
    left_out = sum(len(each.traces) for each in whole) - sum(len(each.traces) for each in selections)
    show_consensus(found, names, agreement=agreement, left_out=left_out, limit=limit, output=output)


def _counts(
    session: "Session",
    store: "TraceStore",
    selection: "Selection",
    relabelling: "Relabelling | None",
    *,
    most_traces: int,
) -> "EdgeCounts":
    from circuitbase.queries.edge_counts import RollupCounts, SummedCounts
    from circuitbase.queries.selection_sums import selection_sums

    if selection.rollup is not None and relabelling is None:
        return RollupCounts(session, selection.rollup.id)
    with reading_bar_of(f"summing {selection.configuration_name}") as heard:
        return SummedCounts(
            selection_sums(session, store, selection, relabelling=relabelling, heard=heard, most_traces=most_traces)
        )
