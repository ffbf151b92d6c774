"""A tested contrast, invented: edges that differ, that do not, from tokens, and that flip."""

import numpy as np

from circuitbase.queries.contrast_over_traces import ContrastedEdge, ContrastTest, TraceContrast
from circuitbase.queries.intervals import wilson
from circuitbase.queries.selection import SelectedTrace, Selection
from circuitbase.queries.unit_facts import UnitFacts


def invented_contrast(n_edges: int, *, n_differing: int, seed: int = 0) -> TraceContrast:
    """Returns a contrast whose first `n_differing` edges are discoveries at 0.05, every fifth from a token."""
    random = np.random.default_rng(seed)
    edges = [_edge(random, number, differs=number < n_differing) for number in range(n_edges)]
    return TraceContrast(
        first=_selection("capital-en"),
        second=_selection("capital-fr"),
        options=ContrastTest(),
        edges=tuple(edges),
        permutations=9_999,
        exact=False,
        paired_clusters=0,
        unmatched=0,
    )


def contrasted_edge(
    number: int, *, effect: float | None, q: float, kind: str = "Feature", flips: bool = False
) -> ContrastedEdge:
    """Returns one edge between invented units."""
    return ContrastedEdge(
        source=f"m/L00/F{number:05d}",
        target=f"m/L02/F{number:05d}",
        port=0,
        source_facts=UnitFacts(f"L00/F{number:05d}", kind, 0, None),
        target_facts=UnitFacts(f"L02/F{number:05d}", "Feature", 2, None),
        first_presence=wilson(30, 40),
        second_presence=wilson(10, 40),
        first_share=0.2,
        second_share=0.1,
        effect=effect,
        p=q / 2,
        q=q,
        flips=flips,
    )


def _edge(random: np.random.Generator, number: int, *, differs: bool) -> ContrastedEdge:
    side = 1.0 if random.random() < 0.5 else -1.0
    effect = side * (float(random.uniform(0.9, 2.4)) if differs else float(random.uniform(0, 0.7)))
    q = max(0.004, float(random.uniform(0, 0.05))) if differs else float(random.uniform(0.06, 1.0))
    if differs and number % 3 == 0:
        q = 0.004  # the least that so many permutations can give, which many edges share
    return contrasted_edge(
        number, effect=effect, q=q, kind="InputToken" if number % 5 == 0 else "Feature", flips=number % 7 == 0
    )


def _selection(name: str) -> Selection:
    return Selection(
        name=name,
        configuration="c" * 64,
        configuration_name="atlas/tc/probable@cccccccc",
        traces=tuple(
            SelectedTrace(id=f"{name}{number}", prompt=f"p{number}", cluster=f"c{number}", n_tokens=7)
            for number in range(40)
        ),
        rollup=None,
    )
