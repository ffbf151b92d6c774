"""Rows of a consensus: the configurations, the core, what is contingent, and what has to be said of them."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, show_rows
from circuitbase.schema.unit_names import input_name

if TYPE_CHECKING:
    from circuitbase.graph.consensus import PromptConsensus
    from circuitbase.queries.consensus import Consensus, ConsensusEdge

CORE_COLUMNS = ("source", "target", "kept", "presence", "mean_influence", "signs")
CONTINGENT_COLUMNS = ("source", "target", "holds_in", "kept", "presence", "mean_influence", "signs")
AGREEMENT_COLUMNS = ("agreement", "in_all", "prompts")


def show_consensus(
    found: "Consensus",
    labels: dict[str, str],
    *,
    agreement: "PromptConsensus | None",
    left_out: int,
    limit: int,
    output: str | None,
) -> None:
    """Prints a consensus: three tables, or rows that say which of them they are of.

    `agreement` is of the first `limit` core edges and then of the first `limit` contingent ones; `labels` are of
    units by id; `left_out` counts traces of prompts that not all configurations have.
    """
    shown_core, shown_contingent = found.core[:limit], found.contingent[:limit]
    edges = [_edge_row(each, found, labels) for each in (*shown_core, *shown_contingent)]
    if agreement is not None:
        edges = [{**row, **_agreement(agreement, number)} for number, row in enumerate(edges)]
    core, contingent = edges[: len(shown_core)], edges[len(shown_core) :]
    configurations = [_configuration_row(found, number) for number in range(len(found.selections))]
    for sentence in _notes(found, left_out):
        click.echo(sentence, err=True)
    if chosen_format(output) != "table":
        named = (("configuration", configurations), ("core", core), ("contingent", contingent))
        show_rows([{"row": name, **row} for name, rows in named for row in rows], output=output)
        return
    click.echo(
        f"Consensus of {len(configurations)} configurations on {found.selections[0].name}: {found.prompts} prompts, "
        f"an edge holds in at least {found.min_presence:.0%} of their traces\n"
        f"{len(found.core)} core edges, {len(found.contingent)} contingent ones"
    )
    show_rows(configurations, output=output, title="Configurations")
    more = AGREEMENT_COLUMNS if agreement is not None else ()
    title = f"Core: under all configurations ({len(core)} of {len(found.core)}, by mean influence)"
    show_rows(_as_text(core), output=output, title=title, columns=(*CORE_COLUMNS, *more))
    title = f"Contingent: under some ({len(contingent)} of {len(found.contingent)}, by mean influence)"
    show_rows(_as_text(contingent), output=output, title=title, columns=(*CONTINGENT_COLUMNS, *more))


def letter(number: int) -> str:
    """Returns what a configuration is called in the tables: A, B, ..., Z, A1, B1, ..."""
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")


def _configuration_row(found: "Consensus", number: int) -> dict[str, Any]:
    from circuitbase.queries.configuration_facts import differing_parts

    selection, parts = found.selections[number], found.facts[number].parts
    contingent = sum(each.holds[number] for each in found.contingent)
    return {
        "as": letter(number),
        "configuration": selection.configuration_name,
        "traces": len(selection.traces),
        "edges": len(found.core) + contingent,
        "beyond_core": contingent,
        "differs_in": {name: parts.get(name) for name in differing_parts(found.facts)},
    }


def _edge_row(each: "ConsensusEdge", found: "Consensus", labels: dict[str, str]) -> dict[str, Any]:
    letters = [letter(number) for number in range(len(found.selections))]
    source, target, port = each.edge
    return {
        "source": each.source_name,
        "source_label": labels.get(source),
        "target": input_name(each.target_name, port),
        "target_label": labels.get(target),
        "holds_in": [name for name, holds in zip(letters, each.holds, strict=True) if holds],
        "kept": each.kept,
        "presence": dict(zip(letters, each.presence, strict=True)),
        "traces": dict(zip(letters, each.traces, strict=True)),
        "mean_influence": each.mean_influence,
        "signs": each.signs,
    }


def _agreement(agreement: "PromptConsensus", number: int) -> dict[str, Any]:
    return {
        "agreement": float(agreement.agreement[number]),
        "in_all": float(agreement.in_all[number]),
        "prompts": int(agreement.prompts[number]),
    }


def _as_text(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "holds_in": " ".join(row["holds_in"]),
            "presence": " ".join(f"{value:.2f}" for value in row["presence"].values()),
        }
        for row in rows
    ]


def _notes(found: "Consensus", left_out: int) -> Iterator[str]:
    from circuitbase.queries.configuration_facts import differing_parts, only_prunings_differ

    differing = differing_parts(found.facts)
    if left_out:
        yield f"Left out {left_out} traces of prompts that are not traced under all of the configurations."
    if only_prunings_differ(found.facts):
        yield (
            "Only the pruning differs, so the core is the strictest one's circuit and the union the loosest one's; "
            "vary targets, caps or dictionaries to learn what does not depend on them."
        )
    if "dictionary" in differing:
        names = ", ".join(sorted({json.dumps(each.parts["dictionary"]) for each in found.facts}))
        yield (
            f"The dictionaries differ ({names}), and so do the ids of their features and errors: only tokens, outputs "
            "and heads can hold under all."
        )
    if "target" in differing:
        yield "The targets differ, so edges into outputs hold under all only where these have the same outputs."
    if found.prompts == 1:
        yield "Only one prompt is compared, so every presence is 0 or 1."
