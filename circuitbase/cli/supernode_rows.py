"""Supernodes as rows and tables, with the evidence for every two members."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, show_rows

if TYPE_CHECKING:
    from circuitbase.queries.supernodes import SupernodeReport

COLUMNS = ("supernode", "size", "members", "labels", "least_likeness", "duplicates", "alternatives", "edited", "pinned")
PAIR_COLUMNS = ("supernode", "first", "second", "likeness", "jaccard", "evidence")


def show_supernodes(found: "SupernodeReport", labels: dict[str, str], *, pairs: bool, output: str | None) -> None:
    """Prints supernodes as a table, or as rows that hold their evidence; the evidence as a table where asked."""
    rows = supernode_rows(found, labels)
    evidence = pair_rows(found)
    if chosen_format(output) != "table":
        show_rows([{**row, "pairs": own} for row, own in zip(rows, evidence, strict=True)], output=output)
        return
    moved = "" if found.grouping.settled else ", the last of which still moved units"
    click.echo(
        f"Supernodes of {found.rollup.prompt_set}: {len(rows)} among {found.candidates} units, every two members alike "
        f"by {found.options.threshold:g} or more ({found.grouping.rounds} rounds{moved})\n"
        f"{found.rollup.configuration_name}"
    )
    show_rows(rows, output=output, columns=COLUMNS)
    if pairs:
        listed = [
            {"supernode": row["supernode"], **pair} for row, own in zip(rows, evidence, strict=True) for pair in own
        ]
        show_rows(listed, output=output, title="Evidence", columns=PAIR_COLUMNS)


def supernode_rows(found: "SupernodeReport", labels: dict[str, str]) -> list[dict[str, Any]]:
    """Returns a row for every supernode."""
    from circuitbase.queries.supernode_storing import display_name

    rows = []
    for each in found.grouping.supernodes:
        evidence = [pair.evidence for pair in each.pairs]
        rows.append(
            {
                "supernode": display_name(each, found.names),
                "size": len(each.members),
                "members": ", ".join(found.names[unit] for unit in each.members),
                "labels": ", ".join(dict.fromkeys(labels[unit] for unit in each.members if unit in labels)),
                "least_likeness": min((pair.likeness for pair in each.pairs), default=None),
                **{kind: evidence.count(kind) for kind in ("duplicates", "alternatives", "edited")},
                "pinned": each.pinned,
            }
        )
    return rows


def pair_rows(found: "SupernodeReport") -> list[list[dict[str, Any]]]:
    """Returns, for each supernode, a row for every two of its members."""
    return [
        [
            {
                "first": found.names[pair.first],
                "second": found.names[pair.second],
                "likeness": pair.likeness,
                "jaccard": pair.jaccard,
                "evidence": pair.evidence,
            }
            for pair in each.pairs
        ]
        for each in found.grouping.supernodes
    ]
