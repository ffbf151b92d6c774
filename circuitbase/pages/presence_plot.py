"""Presence against effect: which edges of a circuit are common, which are strong, and which are both."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from circuitbase.pages.picture_bytes import Suffix, picture_bytes
from circuitbase.pages.plot_legend import NEGATIVE, NEUTRAL, POSITIVE
from circuitbase.pages.scatter_frame import LABEL_WIDTH, SIZE, draw_legend, marker_entry, scatter_frame
from circuitbase.pages.side_labels import PointLabel, draw_side_labels
from circuitbase.queries.circuit import CircuitEdge, GlobalCircuit
from circuitbase.queries.contrast import SETTLED

LABELLED = 12
SMALLEST, LARGEST = 14.0, 220.0  # area of a point, square points
LABELS_FROM = 0.735  # fraction of the axes


def presence_picture(circuit: GlobalCircuit, labels: Mapping[str, str], suffix: Suffix) -> bytes:
    """Returns the plot as the bytes of a PNG or SVG file; equal circuits give equal bytes."""
    return picture_bytes(presence_figure(circuit, labels), suffix)


def presence_figure(circuit: GlobalCircuit, labels: Mapping[str, str]) -> Figure:
    """Returns a point for each edge: presence across, mean weight where present up, area by mean influence.

    Triangles point the way of the sign; hollow ones have a sign that is not settled. `labels` are words for features
    by unit id.
    """
    edges = circuit.edges
    chosen = circuit.rollup
    figure, axes = scatter_frame(
        title=f"Edges of {chosen.prompt_set}: presence against effect",
        subtitle=f"{chosen.configuration_name} · {chosen.traces} traces · {len(edges):,} of {circuit.n_edges:,} edges "
        f"in at least {circuit.min_presence:.0%} of them",
        note=f"Area: mean influence over all traces. Labelled: the {min(LABELLED, len(edges))} most influential edges, "
        "with Wilson's 95 % interval of presence. The effect's axis is linear near 0 and logarithmic far from it.",
        x_name="presence (share of the traces that have the edge)",
        y_name="mean weight where present",
    )
    weights = np.array([edge.mean_weight for edge in edges])
    scale = float(np.median(np.abs(weights))) if len(edges) else 1.0
    axes.set_yscale("asinh", linear_width=scale or 1.0)
    reach = 1.25 * max(float(np.abs(weights).max(initial=0.0)), scale) or 1.0
    axes.set_ylim(-reach, reach)
    low = min((edge.presence.value for edge in edges), default=0.0)
    first = max(0.0, low - 0.04)
    axes.set_xlim(first, first + (1.03 - first) / (LABELS_FROM - 0.03))
    axes.set_xticks([tick for tick in np.linspace(0, 1, 11).tolist() if tick >= first - 1e-9])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.plot((first, 1.02), (0, 0), color="#888888", linewidth=0.7, zorder=0)
    largest = max((edge.mean_influence for edge in edges), default=0.0) or 1.0
    for edge in sorted(edges, key=lambda edge: -edge.mean_influence):
        axes.scatter(
            [edge.presence.value],
            [edge.mean_weight],
            s=SMALLEST + (LARGEST - SMALLEST) * edge.mean_influence / largest,
            marker="^" if edge.mean_weight >= 0 else "v",
            facecolor=_color(edge) if _is_settled(edge) else "white",
            edgecolor=_color(edge),
            linewidth=0.9,
            alpha=0.75,
            zorder=2,
        )
    _draw_labels(axes, edges, labels)
    draw_legend(
        figure,
        [
            marker_entry("raises its target", marker="^", face=POSITIVE, edge=POSITIVE),
            marker_entry("lowers its target", marker="v", face=NEGATIVE, edge=NEGATIVE),
            marker_entry(f"one sign in less than {SETTLED:.0%} of its traces", marker="^", face="white", edge=NEUTRAL),
        ],
    )
    return figure


def _draw_labels(axes: Axes, edges: Sequence[CircuitEdge], labels: Mapping[str, str]) -> None:
    strongest = sorted(edges, key=lambda edge: (-edge.mean_influence, edge.source, edge.target))[:LABELLED]
    for edge in strongest:
        axes.plot(
            (edge.presence.low, edge.presence.high),
            (edge.mean_weight,) * 2,
            color=_color(edge),
            linewidth=0.8,
            zorder=1,
        )
    said = [
        PointLabel(
            x=edge.presence.value,
            y=edge.mean_weight,
            first=named(edge.source_name, labels.get(edge.source)),
            second=named(edge.target_name, labels.get(edge.target)),
            color=_color(edge),
        )
        for edge in strongest
    ]
    draw_side_labels(axes, said, side="right", at=LABELS_FROM, width=LABEL_WIDTH, size=SIZE)


def named(name: str, label: str | None) -> str:
    """Returns a unit's words before its name."""
    return f"{label} · {name}" if label else name


def _color(edge: CircuitEdge) -> str:
    return POSITIVE if edge.mean_weight >= 0 else NEGATIVE


def _is_settled(edge: CircuitEdge) -> bool:
    return edge.sign_agreement.value >= SETTLED
