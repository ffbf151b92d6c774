"""Rows of motifs: types against the null model, and instances that recur."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from circuitbase.graph.motifs.enrichment import MotifEnrichment
    from circuitbase.graph.motifs.recurring import Recurring, RecurringMotif

# What fits a terminal; JSON and CSV have more.
ENRICHMENT_COLUMNS = ("type", "count", "per_trace", "null_mean", "ratio", "z", "p", "corrected_p")


def enrichment_rows(found: "Sequence[MotifEnrichment]") -> list[dict[str, Any]]:
    """Returns a row for each type: those that were tested by p and z, then the others as they come."""
    tested = sorted((each for each in found if each.corrected_p is not None), key=lambda each: (each.p, -(each.z or 0)))
    return [_enrichment_row(each) for each in (*tested, *(each for each in found if each.corrected_p is None))]


def _enrichment_row(each: "MotifEnrichment") -> dict[str, Any]:
    return {
        "type": each.type.name,
        "shape": each.type.shape.value,
        "signs": each.type.signs,
        "positions": each.type.positions,
        "count": each.count,
        "per_trace": each.per_trace,
        "traces_with": each.traces_with,
        "null_mean": each.null_mean,
        "null_deviation": each.null_deviation,
        "ratio": each.ratio,
        "z": each.z,
        "p": each.p,
        "corrected_p": each.corrected_p,
    }


def instance_columns(found: "Recurring") -> tuple[str, ...]:
    """Returns what fits a terminal."""
    roles = found.motifs[0].shape.roles if found.motifs else ()
    units = ("centre", "branches") if found.motifs and found.motifs[0].shape.is_fan else roles
    return ("traces", "presence", "signs", "positions", *units)


def instance_rows(found: "Recurring", names: dict[str, str], labels: dict[str, str]) -> list[dict[str, Any]]:
    """Returns a row for each instance, with its units by role and what stands for each of them."""
    return [_instance_row(each, found, names, labels) for each in found.motifs]


def _instance_row(
    each: "RecurringMotif", found: "Recurring", names: dict[str, str], labels: dict[str, str]
) -> dict[str, Any]:
    shown = [f"{names[unit]} ({labels[unit]})" if unit in labels else names[unit] for unit in each.units]
    if each.shape.is_fan:
        by_role = {"centre": shown[0], "branches": "; ".join(shown[1:])}
        signs, positions = each.type.signs, each.type.positions
    else:
        by_role, signs, positions = dict(zip(each.shape.roles, shown, strict=True)), each.signs, each.positions
    return {
        "type": each.type.name,
        "traces": each.traces,
        "presence": each.traces / found.traces,
        "size": each.size,
        "signs": signs,
        "positions": positions,
        **by_role,
        "units": list(each.units),
    }
