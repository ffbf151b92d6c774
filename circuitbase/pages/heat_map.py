"""One PNG of effects by place: layers upwards, heads or token positions across, one panel per direction."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure

from circuitbase.pages.label_text import FAMILY, fitted_lines, printable, text_width
from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE

DOTS_PER_INCH = 150
CELL_WIDTH, CELL_HEIGHT = 0.46, 0.3  # inches
LEFT, RIGHT, FOOT, HEAD, BETWEEN, BAR = 0.35, 0.25, 0.35, 0.85, 0.45, 1.05  # inches
LONGEST_LABEL = 1.2  # inches
NARROWEST = 6.2  # inches: the title's place
SHORTEST_BAR = 1.75  # inches: the place of what colours mean
TITLE, SMALL, CELL = 13.0, 8.5, 6.5  # points
MOST_NUMBERS = 400  # cells with their number written in
EMPTY = "#dddddd"
COLOURS = LinearSegmentedColormap.from_list("effects", [NEGATIVE, "white", POSITIVE])


@dataclass(frozen=True)
class HeatPanel:
    """One panel: its title and a value for every cell, NaN where there is none; the first row is the lowest."""

    title: str
    values: Float[np.ndarray, "row column"]


@dataclass(frozen=True)
class HeatMap:
    """Panels with the same rows and columns, on one scale centred at 0; `value_name` says what the colours mean."""

    title: str
    subtitle: str
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    value_name: str
    panels: tuple[HeatPanel, ...]

    @property
    def largest(self) -> float:
        """Returns the largest absolute value of all panels; 1 where there is none but 0."""
        found = np.concatenate([panel.values.reshape(-1) for panel in self.panels])
        found = np.abs(found[~np.isnan(found)])
        return float(found.max()) if found.any() else 1.0


def heat_map_png(drawing: HeatMap) -> bytes:
    """Returns the picture as the bytes of a PNG file; equal numbers give equal bytes."""
    content = BytesIO()
    heat_map_figure(drawing).savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def heat_map_figure(drawing: HeatMap) -> Figure:
    """Returns the picture as a figure sized to its cells; blue is above 0, orange below, white is 0."""
    rows, columns = [_labels(names) for names in (drawing.row_names, drawing.column_names)]
    slanted = _slanted(columns)
    row_space = LEFT + _widest(rows)
    column_space = FOOT + (_widest(columns) * 0.75 + 0.1 if slanted else 0.2)
    width, height = len(columns) * CELL_WIDTH, len(rows) * CELL_HEIGHT
    whole_width = max(NARROWEST, len(drawing.panels) * (row_space + width) + BETWEEN + BAR + RIGHT)
    tallest = max(height, SHORTEST_BAR)
    whole_height = column_space + tallest + HEAD + 0.3
    figure = Figure(figsize=(whole_width, whole_height), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    norm = Normalize(-drawing.largest, drawing.largest)
    for number, panel in enumerate(drawing.panels):
        left = row_space + number * (row_space + width)
        axes = figure.add_axes(
            (
                left / whole_width,
                (column_space + tallest - height) / whole_height,
                width / whole_width,
                height / whole_height,
            )
        )
        _draw_panel(axes, panel, rows=rows, columns=columns, norm=norm, slanted=slanted)
    bar = figure.add_axes(
        (
            (len(drawing.panels) * (row_space + width) + BETWEEN) / whole_width,
            column_space / whole_height,
            0.14 / whole_width,
            tallest / whole_height,
        )
    )
    _draw_bar(figure, bar, norm, drawing.value_name)
    _draw_head(figure, drawing, width=whole_width, height=whole_height)
    return figure


def _draw_panel(
    axes: Axes, panel: HeatPanel, *, rows: list[str], columns: list[str], norm: Normalize, slanted: bool
) -> None:
    shape = (len(rows), len(columns))
    if panel.values.shape != shape:
        raise ValueError(f"a panel of {shape} names needs as many values, got {panel.values.shape}")
    axes.set_facecolor(EMPTY)
    axes.pcolormesh(np.ma.masked_invalid(panel.values), cmap=COLOURS, norm=norm, edgecolors="white", linewidth=0.6)
    slant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    style: dict[str, Any] = {"fontsize": SMALL, "fontfamily": FAMILY, "parse_math": False}
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **style, **slant)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows, **style)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(printable(panel.title), **style, loc="left", pad=4)
    if panel.values.size <= MOST_NUMBERS:
        _write_numbers(axes, panel.values, norm)


def _write_numbers(axes: Axes, values: Float[np.ndarray, "row column"], norm: Normalize) -> None:
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            red, green, blue = to_rgb(COLOURS(float(norm(value))))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            shown = _number(float(value))
            axes.text(
                column + 0.5,
                row + 0.5,
                shown,
                fontsize=CELL,
                fontfamily=FAMILY,
                color="white" if dark else "#999999" if shown == "0" else "#222222",
                ha="center",
                va="center",
                gid="cell",
            )


def _number(value: float) -> str:
    """Returns a number of at most five characters; 0 where it rounds to that."""
    if abs(value) >= 99.5:
        return f"{value:.0f}" if abs(value) < 9999.5 else f"{value:.0e}".replace("e+0", "e")
    shown = f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}"
    return "0" if float(shown) == 0 else shown.replace("-", "−")


def _draw_bar(figure: Figure, axes: Axes, norm: Normalize, name: str) -> None:
    bar = figure.colorbar(ScalarMappable(norm, COLOURS), cax=axes)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, length=2, labelfontfamily=FAMILY)
    bar.set_label(printable(name), fontsize=SMALL, fontfamily=FAMILY, parse_math=False)


def _draw_head(figure: Figure, drawing: HeatMap, *, width: float, height: float) -> None:
    room = width - 0.3
    [title] = fitted_lines(drawing.title, width=room, font_size=TITLE, max_lines=1, bold=True)
    style: dict[str, Any] = {"fontfamily": FAMILY, "parse_math": False, "va": "center", "gid": "head"}
    figure.text(0.15 / width, 1 - 0.2 / height, title, fontsize=TITLE, fontweight="bold", **style)
    for number, line in enumerate(fitted_lines(drawing.subtitle, width=room, font_size=SMALL, max_lines=2)):
        figure.text(0.15 / width, 1 - (0.43 + 0.16 * number) / height, line, fontsize=SMALL, color="#444444", **style)


def _labels(names: tuple[str, ...]) -> list[str]:
    return [fitted_lines(name, width=LONGEST_LABEL, font_size=SMALL, max_lines=1)[0] for name in names]


def _widest(labels: list[str]) -> float:
    return max((text_width(label, font_size=SMALL) for label in labels), default=0.0)


def _slanted(labels: list[str]) -> bool:
    return _widest(labels) > CELL_WIDTH - 0.06
