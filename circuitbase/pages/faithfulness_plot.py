"""One PNG of faithfulness over the size of circuits, with the bootstrap's intervals."""

from dataclasses import dataclass
from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from circuitbase.pages.label_text import FAMILY, printable
from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE

DOTS_PER_INCH = 150
TITLE, SMALL = 12.0, 8.5  # points
COLOURS = (POSITIVE, NEGATIVE)
MARKERS = ("o", "s")


@dataclass(frozen=True)
class FaithfulnessLine:
    """A curve: its name, nominal fractions of the edges, f and its interval (None where there is none)."""

    name: str
    fractions: tuple[float, ...]
    f: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


def faithfulness_png(title: str, lines: tuple[FaithfulnessLine, ...]) -> bytes:
    """Returns the picture as the bytes of a PNG file; equal numbers give equal bytes."""
    content = BytesIO()
    faithfulness_figure(title, lines).savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def faithfulness_figure(title: str, lines: tuple[FaithfulnessLine, ...]) -> Figure:
    """Returns up to two curves over a logarithmic axis; 1 is the full model, 0 the empty circuit."""
    figure = Figure(figsize=(6.2, 3.8), dpi=DOTS_PER_INCH, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for level in (0, 1):
        axes.axhline(level, color="#999999", linewidth=0.8, linestyle=(0, (4, 3)))
    for line, colour, marker in zip(lines, COLOURS, MARKERS, strict=False):
        points = [(x, f) for x, f in zip(line.fractions, line.f, strict=True) if f is not None]
        axes.plot(
            [x for x, _ in points], [f for _, f in points], color=colour, marker=marker, markersize=4, label=line.name
        )
        spread = [
            (x, low, high)
            for x, low, high in zip(line.fractions, line.low, line.high, strict=True)
            if low is not None and high is not None
        ]
        axes.fill_between(
            [x for x, _, _ in spread],
            [low for _, low, _ in spread],
            [high for _, _, high in spread],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    axes.set_xscale("log")
    ticks = sorted({fraction for line in lines for fraction in line.fractions})
    axes.set_xticks(ticks, [f"{100 * tick:g}%" for tick in ticks], fontsize=SMALL, fontfamily=FAMILY)
    axes.minorticks_off()
    axes.tick_params(labelsize=SMALL, labelfontfamily=FAMILY)
    axes.set_xlabel("edges kept", fontsize=SMALL, fontfamily=FAMILY)
    axes.set_ylabel("faithfulness", fontsize=SMALL, fontfamily=FAMILY)
    axes.set_title(
        printable(title, bold=True), fontsize=TITLE, fontfamily=FAMILY, fontweight="bold", loc="left", parse_math=False
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, prop={"family": FAMILY, "size": SMALL}, loc="best")
    return figure
