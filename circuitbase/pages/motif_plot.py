"""One picture of motif enrichment: a bar for each type, how many times more often than the null model has it."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from circuitbase.graph.motifs.enrichment import MotifEnrichment
from circuitbase.graph.motifs.motif_type import Shape
from circuitbase.pages.label_text import FAMILY, printable
from circuitbase.pages.picture_bytes import DOTS_PER_INCH, Suffix, picture_bytes

WIDTH, BAR, HEAD, FOOT = 8.4, 0.24, 0.75, 0.95  # inches
LEFT, RIGHT = 2.3, 2.5  # inches beside the bars: names, numbers
TITLE_SIZE, LABEL_SIZE, NUMBER_SIZE = 13.0, 9.0, 8.0  # points
LEVEL = 0.05
LEAST_REACH, FARTHEST = 0.6, 5.0  # octaves that the axis shows; longer bars end there with an arrow
NEAR_TICKS, FAR_TICKS = (0.5, 0.67, 0.8, 1, 1.25, 1.5, 2), tuple(2.0**octave for octave in range(-5, 6))
MORE, FEWER, UNSURE = "#c0392b", "#2c6fbb", "#b8b8b8"
KEY = (
    "Red: more than the null model has, corrected p at most 0.05. Blue: a z of -2 or less. Grey: neither.",
    "The null model keeps signed degrees by layers, kinds and position class; fans follow from these: not shown.",
)


def motif_picture(found: Sequence[MotifEnrichment], suffix: Suffix, *, title: str) -> bytes:
    """Returns the picture as the bytes of a PNG or SVG file; equal numbers give equal bytes."""
    return picture_bytes(motif_figure(found, title=title), suffix)


def motif_figure(found: Sequence[MotifEnrichment], *, title: str) -> Figure:
    """Returns horizontal bars of the types that were tested, shape by shape from the top."""
    order = list(Shape)
    shown = sorted(
        (each for each in found if each.corrected_p is not None), key=lambda each: order.index(each.type.shape)
    )
    height = max(1, len(shown)) * BAR
    size = (WIDTH, HEAD + height + FOOT)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.3 / WIDTH, 1 - 0.28 / size[1], printable(title), size=TITLE_SIZE, family=FAMILY, va="center")
    for row, line in enumerate(KEY):
        place = (0.32 - 0.17 * row) / size[1]
        figure.text(0.3 / WIDTH, place, line, size=NUMBER_SIZE - 0.5, family=FAMILY, color="#555555", va="center")
    axes = figure.add_axes((LEFT / WIDTH, FOOT / size[1], (WIDTH - LEFT - RIGHT) / WIDTH, height / size[1]))
    _draw(axes, shown)
    return figure


def _draw(axes: Axes, shown: Sequence[MotifEnrichment]) -> None:
    octaves = [_octaves(each) for each in shown]
    reach = 1.05 * max([LEAST_REACH, *(abs(each) for each in octaves)])
    bars = axes.barh(range(len(shown)), octaves, height=0.72, color=[_colour(each) for each in shown], linewidth=0)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(max(1, len(shown)) - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [each.type.name for each in shown], size=NUMBER_SIZE, family=FAMILY)
    ticks = [tick for tick in (NEAR_TICKS if reach < 1 else FAR_TICKS) if abs(math.log2(tick)) <= reach]
    axes.set_xticks([math.log2(tick) for tick in ticks], [f"×{tick:g}" for tick in ticks])
    axes.set_xlabel("times as often as in the null model", size=LABEL_SIZE, family=FAMILY)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=2, labelsize=NUMBER_SIZE, labelfontfamily=FAMILY)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    beside: dict[str, Any] = {"size": NUMBER_SIZE, "va": "center", "family": FAMILY}
    beside["transform"] = axes.get_yaxis_transform()
    axes.text(1.03, -1.0, "count / null mean, z, corrected p", color="#555555", **beside)
    for row, (bar, each) in enumerate(zip(bars, shown, strict=True)):
        axes.text(1.03, row, _numbers(each), **beside)
        if _is_beyond(each):
            mark, place = (">", 1.0) if each.count else ("<", 0.0)
            axes.text(place, row, mark, ha="center", color=bar.get_facecolor(), **beside)
    if not shown:
        axes.text(0, 0, "no type was tested", size=LABEL_SIZE, ha="center", va="center", family=FAMILY)


def _octaves(each: MotifEnrichment) -> float:
    """Returns the binary logarithm of count over null mean, within what is shown."""
    if not each.null_mean or not each.count:
        return FARTHEST if each.count else -FARTHEST
    return max(-FARTHEST, min(FARTHEST, math.log2(each.count / each.null_mean)))


def _is_beyond(each: MotifEnrichment) -> bool:
    return not each.null_mean or not each.count or abs(math.log2(each.count / each.null_mean)) > FARTHEST


def _colour(each: MotifEnrichment) -> str:
    if each.corrected_p is not None and each.corrected_p <= LEVEL:
        return MORE
    return FEWER if each.z is not None and each.z <= -2 else UNSURE


def _numbers(each: MotifEnrichment) -> str:
    z = "" if each.z is None else f"  z {each.z:+.1f}"
    mean = f"{each.null_mean:.0f}" if each.null_mean >= 100 else f"{each.null_mean:.3g}"
    return f"{each.count} / {mean}{z}  p {each.corrected_p:.2g}"
