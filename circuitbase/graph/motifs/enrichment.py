"""Which motifs are more frequent than the null model makes them: exact p values over one or many traces."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from circuitbase.graph.motifs.correction import Correction, corrected
from circuitbase.graph.motifs.motif_type import TYPES, Detail, MotifType

LEAST_MEAN = 1.0  # instances, on average over traces and samples, from which a type is tested


@dataclass(frozen=True)
class MotifTotals:
    """Sums over traces of the counts of TYPES, observed and in jointly drawn samples: each trace by itself.

    `traces_with` counts the traces that have at least one instance. `edges` counts edges, `moved` on average those of a
    sample that the traces lack.
    """

    traces: int
    count: Int64[np.ndarray, " type"]
    null: Int64[np.ndarray, "type sample"]
    traces_with: Int64[np.ndarray, " type"]
    edges: int = 0
    moved: float = 0.0


@dataclass(frozen=True)
class MotifEnrichment:
    """One type's count over all traces against the null model's.

    `ratio` is count over null mean, None where the null has none; `z` is in the null's deviations, None where it does
    not vary; `p` is (1 + #{null ≥ count}) / (1 + samples). A type whose count is the same in every sample (a fan:
    degrees are kept) cannot be enriched: it is not tested and has no `corrected_p`.
    """

    type: MotifType
    count: int
    per_trace: float
    traces_with: int | None
    null_mean: float
    null_deviation: float
    ratio: float | None
    z: float | None
    p: float
    corrected_p: float | None


def enrichment(
    totals: MotifTotals, *, detail: Detail = "full", correction: Correction = "benjamini-hochberg"
) -> tuple[MotifEnrichment, ...]:
    """Returns every type that occurs in the traces or in a sample, in the order of TYPES, corrected over those tested.

    With less detail types are summed; how many traces have one of several is not known then (`traces_with` is None).
    """
    types = [each.at(detail) for each in TYPES]
    merged = list(dict.fromkeys(types))
    place = np.array([merged.index(each) for each in types])
    count, null = (_summed(column, place, n=len(merged)) for column in (totals.count, totals.null))
    occurring = np.flatnonzero((count > 0) | (null > 0).any(axis=1))
    p = (1 + (null >= count[:, None]).sum(axis=1)) / (1 + null.shape[1])
    pooled = np.concatenate([count[:, None], null], axis=1)[occurring]
    is_tested = (pooled != pooled[:, :1]).any(axis=1) & (pooled.mean(axis=1) >= LEAST_MEAN)
    found = corrected(p[occurring][is_tested], by=correction).tolist()
    adjusted: dict[int, float] = dict(zip(occurring[is_tested].tolist(), found, strict=True))
    mean, deviation = null.mean(axis=1), null.std(axis=1)
    return tuple(
        MotifEnrichment(
            type=merged[row],
            count=int(count[row]),
            per_trace=float(count[row] / totals.traces),
            traces_with=int(totals.traces_with[row]) if detail == "full" else None,
            null_mean=float(mean[row]),
            null_deviation=float(deviation[row]),
            ratio=float(count[row] / mean[row]) if mean[row] else None,
            z=float((count[row] - mean[row]) / deviation[row]) if deviation[row] else None,
            p=float(p[row]),
            corrected_p=adjusted.get(row),
        )
        for row in occurring.tolist()
    )


def least_corrected_p(found: Sequence[MotifEnrichment], *, samples: int) -> float:
    """Returns the smallest corrected p that one type, enriched alone, could have with so many samples."""
    tested = sum(each.corrected_p is not None for each in found)
    return min(1.0, tested / (1 + samples))


def _summed(column: np.ndarray, place: np.ndarray, *, n: int) -> np.ndarray:
    found = np.zeros((n, *column.shape[1:]), dtype=np.int64)
    np.add.at(found, place, column)
    return found
