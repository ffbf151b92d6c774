"""Labels of points in a column beside them, each joined to its point, so that no two overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes

from circuitbase.pages.label_text import FAMILY, fitted_lines

SIZE = 7.5  # points
LINE, GAP = 0.135, 0.09  # inches: a line of text, between labels
LABEL_HEIGHT = 2 * LINE + GAP


@dataclass(frozen=True)
class PointLabel:
    """What is written of one point: two lines, such as the ends of an edge; `x` and `y` in the units of the data."""

    x: float
    y: float
    first: str
    second: str
    color: str


def most_labels(height: float) -> int:
    """Returns how many labels a column of so many inches holds."""
    return int(height / LABEL_HEIGHT)


def draw_side_labels(
    axes: Axes,
    labels: Sequence[PointLabel],
    *,
    side: Literal["left", "right"],
    at: float,
    width: float,
    size: tuple[float, float],
) -> None:
    """Writes labels from the fraction `at` of the axes outwards; `size` is that of the axes in inches.

    There may be `most_labels` of them.
    """
    across, height = size
    outwards = 1 if side == "right" else -1
    # of points at one height the outermost has the highest label, so that the lines, which mostly fall, do not cross
    order = sorted(labels, key=lambda label: (label.y, outwards * label.x, label.first, label.second))
    to_axes = (axes.transData + axes.transAxes.inverted()).transform
    wanted = [float(to_axes((label.x, label.y))[1]) for label in order]
    half = LABEL_HEIGHT / height / 2
    places = spread(wanted, gap=LABEL_HEIGHT / height, low=half, high=1 - half)
    for label, place in zip(order, places, strict=True):
        axes.annotate(
            "",
            xy=(label.x, label.y),
            xytext=(at - outwards * 0.05 / across, place),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": label.color, "linewidth": 0.6, "alpha": 0.6, "shrinkB": 3},
            zorder=1,
        )
        for text, shift in ((label.first, LINE / 2), (f"→ {label.second}", -LINE / 2)):
            [line] = fitted_lines(text, width=width, font_size=SIZE, max_lines=1)
            axes.text(
                at,
                place + shift / height,
                line,
                transform=axes.transAxes,
                fontsize=SIZE,
                fontfamily=FAMILY,
                ha="left" if side == "right" else "right",
                va="center",
                gid="label",
                parse_math=False,  # a token may hold a $
            )


def spread(wanted: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Returns rising places near rising wanted ones, `gap` apart at least, from `low` to `high` if they fit there."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap if places else low))
    ceiling = high
    for number in reversed(range(len(places))):
        places[number] = min(places[number], ceiling)
        ceiling = places[number] - gap
    return places
