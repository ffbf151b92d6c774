"""What stands for a unit in a circuit or a contrast: the unit, its role, or the supernode that holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from neo4j import Session

    from circuitbase.queries.grouped_sums import InnerSums
    from circuitbase.queries.relabelling import Relabelling
    from circuitbase.queries.rollup_sums import RollupSums
    from circuitbase.queries.selection import Selection
    from circuitbase.queries.supernode_storing import StoredSupernode
    from circuitbase.queries.trace_streaming import Heard
    from circuitbase.store.trace_store import TraceStore

MOST_LABELS = 3
SUPERNODE_COLUMNS = ("supernode", "members", "inner_weight_sum", "inner_absolute_sum")
supernodes_option = click.option(
    "--supernodes", is_flag=True, help="Take the stored supernodes of the (first) SET as units; reads every trace."
)


@dataclass(frozen=True)
class UnitView:
    """How units are relabelled, if they are; `stored` are the supernodes, `labels` the words for them by id."""

    relabelling: "Relabelling | None" = None
    stored: "tuple[StoredSupernode, ...]" = ()
    labels: Mapping[str, str] | None = None

    @property
    def is_plain(self) -> bool:
        """Returns whether units stand for themselves."""
        return self.relabelling is None


def view_of(
    session: "Session", prompt_set: str | None, *, by_role: bool, supernodes: bool, configuration: str | None
) -> UnitView:
    """Returns the view that options ask for; raises UsageError for two at once, InputError without supernodes."""
    from circuitbase.queries.grouped_circuit import group_of
    from circuitbase.queries.relabelling import by_group
    from circuitbase.queries.relabelling import by_role as roles
    from circuitbase.queries.rollup_choice import choose_rollup
    from circuitbase.queries.supernode_storing import required_supernodes

    if not supernodes:
        return UnitView(roles if by_role else None)
    if by_role or prompt_set is None:
        raise click.UsageError("--supernodes takes those of a whole SET, and does not go with --by-role or --traces")
    stored = required_supernodes(session, choose_rollup(session, prompt_set, configuration=configuration))
    return UnitView(by_group(group_of(stored)), tuple(stored), supernode_labels(session, stored))


def sums_in_view(
    session: "Session",
    store: "TraceStore",
    selection: "Selection",
    view: UnitView,
    *,
    heard: "Heard | None",
    most_traces: int,
) -> "tuple[RollupSums, Mapping[str, InnerSums]]":
    """Returns a selection's sums over what stands for units, and the sums within each supernode."""
    from circuitbase.queries.grouped_circuit import sums_over_groups
    from circuitbase.queries.selection_sums import selection_sums

    if view.stored:
        found = sums_over_groups(session, store, selection, view.stored, heard=heard, most_traces=most_traces)
        return found.sums, found.inner
    sums = selection_sums(session, store, selection, relabelling=view.relabelling, heard=heard, most_traces=most_traces)
    return sums, {}


def supernode_labels(session: "Session", stored: "Sequence[StoredSupernode]") -> dict[str, str]:
    """Returns id of a supernode -> the commonest token of each of its first members."""
    from circuitbase.queries.token_labels import peak_token_labels

    labels = peak_token_labels(session, [unit for each in stored for unit in each.members], tokens=1)
    words = {each.id: dict.fromkeys(labels[unit] for unit in each.members if unit in labels) for each in stored}
    return {id: ", ".join(list(found)[:MOST_LABELS]) for id, found in words.items() if found}


def supernode_rows(view: UnitView, inner: "Mapping[str, InnerSums]") -> tuple[dict[str, Any], ...]:
    """Returns a row for each supernode: its members, and the sums over the edges within it, which are dropped."""
    return tuple(
        {
            "supernode": each.name,
            "members": ", ".join(each.names),
            "inner_weight_sum": inner[each.id].weight_sum if each.id in inner else 0.0,
            "inner_absolute_sum": inner[each.id].absolute_sum if each.id in inner else 0.0,
        }
        for each in view.stored
    )
