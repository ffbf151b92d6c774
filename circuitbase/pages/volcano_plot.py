"""The volcano of a tested contrast: how much each edge differs against how sure that is."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from circuitbase.pages.label_text import fitted_lines
from circuitbase.pages.picture_bytes import Suffix, picture_bytes
from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE
from circuitbase.pages.presence_plot import named
from circuitbase.pages.scatter_frame import LABEL_WIDTH, SIZE, SMALL, draw_legend, marker_entry, scatter_frame
from circuitbase.pages.side_labels import PointLabel, draw_side_labels, most_labels
from circuitbase.queries.contrast_over_traces import ContrastedEdge, TraceContrast
from circuitbase.schema.unit_names import input_name

LABELS = LABEL_WIDTH / SIZE[0] + 0.01  # fraction of the axes on either side
UNSURE, FLIP, RULE = "#9a9a9a", "#111111", "#777777"


def volcano_picture(found: TraceContrast, labels: Mapping[str, str], suffix: Suffix, *, rate: float = 0.05) -> bytes:
    """Returns the plot as the bytes of a PNG or SVG file; equal contrasts give equal bytes."""
    return picture_bytes(volcano_figure(found, labels, rate=rate), suffix)


def volcano_figure(found: TraceContrast, labels: Mapping[str, str], *, rate: float = 0.05) -> Figure:
    """Returns a point for each edge: Hedges' g across, positive where the first has more, −log10 q up.

    Discoveries at a false-discovery rate of `rate` are coloured and, the surest first, labelled; edges from tokens or
    to outputs are squares, and an edge whose settled sign flips is crossed. Edges without spread have no g and are
    counted in the note.
    """
    drawn = [edge for edge in found.edges if edge.effect is not None]
    discoveries = [edge for edge in drawn if edge.q <= rate]
    left, right = _said(discoveries, "left"), _said(discoveries, "right")
    first, second = found.first.name, found.second.name
    figure, axes = scatter_frame(
        title=f"Contrast of {first} and {second}: edges that differ",
        subtitle=f"{found.first.configuration_name} · {len(found.first.traces)} against {len(found.second.traces)} "
        f"traces · {len(discoveries):,} of {len(drawn):,} edges differ at a false-discovery rate of {rate:g}, "
        f"{len(left) + len(right)} labelled",
        note=f"q: p of {found.permutations:,} permutations over clusters, after Benjamini-Hochberg. "
        f"{len(found.edges) - len(drawn):,} edges without spread are not drawn.",
        x_name=f"Hedges' g of the edge's share (above 0: more in {_short(first)})",
        y_name="−log10 q",
    )
    _draw_axes(axes, drawn, rate=rate)
    for edge in sorted(drawn, key=lambda edge: -edge.q):
        _draw_point(axes, edge, rate=rate)
    for_left, for_right = ([_label(edge, labels) for edge in each] for each in (left, right))
    draw_side_labels(axes, for_left, side="left", at=LABELS, width=LABEL_WIDTH, size=SIZE)
    draw_side_labels(axes, for_right, side="right", at=1 - LABELS, width=LABEL_WIDTH, size=SIZE)
    draw_legend(
        figure,
        [
            marker_entry(f"more in {_short(first)}", marker="o", face=POSITIVE, edge=POSITIVE),
            marker_entry(f"more in {_short(second)}", marker="o", face=NEGATIVE, edge=NEGATIVE),
            marker_entry("not sure", marker="o", face=UNSURE, edge=UNSURE),
            Line2D([], [], color=RULE, linewidth=0.8, linestyle="--", label=f"q = {rate:g}"),
            marker_entry("from a token or to an output", marker="s", face="white", edge="#555555"),
            marker_entry("its sign flips", marker="x", face=FLIP, edge=FLIP),
        ],
    )
    return figure


def _draw_axes(axes: Axes, drawn: Sequence[ContrastedEdge], *, rate: float) -> None:
    reach = 1.1 * max((abs(edge.effect or 0.0) for edge in drawn), default=0.0) or 1.0
    # the outer parts of the axes hold labels
    whole = reach / (1 - 2 * (LABELS + 0.02))
    axes.set_xlim(-whole, whole)
    axes.set_ylim(-0.02, 1.12 * max([_height(rate), *(_height(edge.q) for edge in drawn)]) or 1.0)
    axes.set_xticks([tick for tick in axes.get_xticks().tolist() if abs(tick) <= reach])
    axes.axvline(0, color="#bbbbbb", linewidth=0.7, zorder=0)
    if 0 < rate < 1:
        axes.plot((-reach, reach), (_height(rate),) * 2, color=RULE, linewidth=0.8, linestyle="--", zorder=0)
    if not drawn:
        axes.text(0.5, 0.5, "no edge has any spread", transform=axes.transAxes, ha="center", size=SMALL)


def _draw_point(axes: Axes, edge: ContrastedEdge, *, rate: float) -> None:
    assert edge.effect is not None
    color = _color(edge) if edge.q <= rate else UNSURE
    axes.scatter(
        [edge.effect],
        [_height(edge.q)],
        s=30,
        marker="s" if edge.is_apart else "o",
        facecolor="white" if edge.is_apart else color,
        edgecolor=color,
        linewidth=1.0,
        alpha=0.85 if edge.q <= rate else 0.5,
        zorder=2,
    )
    if edge.flips:
        axes.scatter([edge.effect], [_height(edge.q)], s=34, marker="x", color=FLIP, linewidth=1.1, zorder=3)


def _said(discoveries: Sequence[ContrastedEdge], side: Literal["left", "right"]) -> list[ContrastedEdge]:
    """Returns the discoveries that are labelled on one side: features before tokens, the surest and largest first."""
    here = [edge for edge in discoveries if ((edge.effect or 0.0) >= 0) == (side == "right")]
    here.sort(key=lambda edge: (edge.is_apart, edge.q, -abs(edge.effect or 0.0), edge.source, edge.target))
    return here[: most_labels(SIZE[1])]


def _label(edge: ContrastedEdge, labels: Mapping[str, str]) -> PointLabel:
    return PointLabel(
        x=edge.effect or 0.0,
        y=_height(edge.q),
        first=named(edge.source_facts.name, labels.get(edge.source)),
        second=named(input_name(edge.target_facts.name, edge.port), labels.get(edge.target)),
        color=_color(edge),
    )


def _color(edge: ContrastedEdge) -> str:
    return POSITIVE if (edge.effect or 0.0) >= 0 else NEGATIVE


def _height(q: float) -> float:
    return -math.log10(max(q, 1e-300))


def _short(name: str) -> str:
    return fitted_lines(name, width=1.7, font_size=SMALL, max_lines=1)[0]
