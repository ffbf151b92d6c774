"""Global circuits and contrasts over the stored supernodes of a set, with words for each."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.reading_bar import reading_bar
from circuitbase.settings import Settings

if TYPE_CHECKING:
    from neo4j import Session

    from circuitbase.queries.circuit import GlobalCircuit
    from circuitbase.queries.contrast import Contrast
    from circuitbase.queries.grouped_sums import InnerSums
    from circuitbase.queries.rollup_choice import ChosenRollup
    from circuitbase.queries.supernode_storing import StoredSupernode

MOST_LABELS = 3
SUPERNODE_COLUMNS = ("supernode", "members", "inner_weight_sum", "inner_absolute_sum")
supernodes_option = click.option(
    "--supernodes", is_flag=True, help="Take the stored supernodes of the (first) SET as units; reads every trace."
)


def read_grouped_circuit(
    session: "Session", chosen: "ChosenRollup", settings: Settings, **options: Any
) -> "tuple[GlobalCircuit, list[dict[str, Any]], dict[str, str]]":
    """Returns the circuit over supernodes, a row for each (its members, and the edges within it), and their labels."""
    from circuitbase.queries.grouped_circuit import grouped_circuit, sums_over_groups
    from circuitbase.queries.supernode_storing import required_supernodes
    from circuitbase.store.trace_store import TraceStore

    stored = required_supernodes(session, chosen)
    with reading_bar() as progress:
        sums = sums_over_groups(session, chosen, stored, store=TraceStore(settings.store_url), progress=progress)
    found = grouped_circuit(session, chosen, sums, stored, **options)
    return found.circuit, supernode_rows(stored, found.inner), group_labels(session, stored)


def read_grouped_contrast(
    session: "Session", chosen: "tuple[ChosenRollup, ChosenRollup]", settings: Settings, *, min_presence: float
) -> "tuple[Contrast, dict[str, str]]":
    """Returns the contrast of two sets over the supernodes of the first, and the labels of these."""
    from circuitbase.queries.grouped_circuit import sums_over_groups
    from circuitbase.queries.grouped_contrast import grouped_contrast
    from circuitbase.queries.supernode_storing import required_supernodes
    from circuitbase.store.trace_store import TraceStore

    stored, store = required_supernodes(session, chosen[0]), TraceStore(settings.store_url)
    with reading_bar() as progress:
        first, second = (sums_over_groups(session, each, stored, store=store, progress=progress) for each in chosen)
    found = grouped_contrast(session, chosen, (first, second), stored, min_presence=min_presence)
    return found, group_labels(session, stored)


def group_labels(session: "Session", stored: "Sequence[StoredSupernode]") -> dict[str, str]:
    """Returns id of a supernode -> the commonest token of each of its first members."""
    from circuitbase.queries.token_labels import peak_token_labels

    labels = peak_token_labels(session, [unit for each in stored for unit in each.members], tokens=1)
    words = {each.id: dict.fromkeys(labels[unit] for unit in each.members if unit in labels) for each in stored}
    return {id: ", ".join(list(found)[:MOST_LABELS]) for id, found in words.items() if found}


def supernode_rows(stored: "Sequence[StoredSupernode]", inner: "Mapping[str, InnerSums]") -> list[dict[str, Any]]:
    """Returns a row for each supernode: its members, and the sums over the edges within it, which are dropped."""
    return [
        {
            "supernode": each.name,
            "members": ", ".join(each.names),
            "inner_weight_sum": inner[each.id].weight_sum if each.id in inner else 0.0,
            "inner_absolute_sum": inner[each.id].absolute_sum if each.id in inner else 0.0,
        }
        for each in stored
    ]
