"""A matrix over tokens as a picture: labelled rows and columns, a colour and perhaps a word in each cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from circuitbase.pages.label_text import FAMILY, fitted_lines, printable, text_width

DOTS_PER_INCH = 150
LABEL_SIZE, CELL_SIZE, TITLE_SIZE, NOTE_SIZE = 8.0, 7.0, 11.0, 7.5  # points
LONGEST_LABEL = 1.4  # inches
MARGIN, HEAD, BAR, BAR_GAP = 0.15, 0.62, 0.12, 0.12  # inches
DARK = 0.55  # of the colour scale, from where on words are white
SMALLEST_CELL = 0.17  # inches; a picture of many cells is no smaller, and of few no larger than asked


@dataclass(frozen=True)
class TokenMap:
    """What one picture shows; row 0 is on top. `scale` is `share` (0 to 1) or `signed` (around 0).

    `words` stand in the cells, one row of them for each row of values.
    """

    title: str
    note: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Float64[np.ndarray, "row column"]
    scale: Literal["share", "signed"]
    row_title: str = ""
    column_title: str = ""
    words: tuple[tuple[str, ...], ...] | None = None


def token_maps_png(maps: Sequence[TokenMap], *, cell: tuple[float, float]) -> bytes:
    """Returns token maps, side by side, as the bytes of a PNG file; equal maps give equal bytes."""
    content = BytesIO()
    token_maps_figure(maps, cell=cell).savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def token_maps_figure(maps: Sequence[TokenMap], *, cell: tuple[float, float]) -> Figure:
    """Returns token maps as a figure; `cell` is the width and height of a cell in inches."""
    width, height = (max(SMALLEST_CELL, side) for side in cell)
    left = [MARGIN + 0.25 + _longest(each.rows) for each in maps]
    across = [side + max(len(each.columns) * width, _title_width(each)) for side, each in zip(left, maps, strict=True)]
    across = [each + 0.25 for each in across]
    foot = 0.45 + max(_longest(each.columns) for each in maps)
    tall = max(len(each.rows) for each in maps) * height
    bar = sum(across[:-1]) + left[-1] + len(maps[-1].columns) * width + BAR_GAP
    whole = (max(sum(across), bar + BAR + 0.55), HEAD + tall + foot)
    figure = Figure(figsize=whole, dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    largest = max((float(np.abs(each.values).max(initial=0.0)) for each in maps), default=0.0) or 1.0
    x, image = 0.0, None
    for each, side, wide in zip(maps, left, across, strict=True):
        own = len(each.rows) * height
        box = (x + side, foot + tall - own, len(each.columns) * width, own)
        axes = figure.add_axes((box[0] / whole[0], box[1] / whole[1], box[2] / whole[0], box[3] / whole[1]))
        low, high, colours = (0.0, 1.0, "Blues") if each.scale == "share" else (-largest, largest, "RdBu")
        image = axes.imshow(each.values, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
        _label(axes, each, width=width)
        _head(figure, each, at=((x + MARGIN) / whole[0], whole[1]))
        x += wide
    if image is not None:
        box = (bar, foot, BAR, tall)
        axes = figure.add_axes((box[0] / whole[0], box[1] / whole[1], box[2] / whole[0], box[3] / whole[1]))
        figure.colorbar(image, cax=axes).ax.tick_params(labelsize=NOTE_SIZE)
    return figure


def _label(axes: Axes, shown: TokenMap, *, width: float) -> None:
    axes.set_xticks(range(len(shown.columns)), [_short(name) for name in shown.columns], rotation=90)
    axes.set_yticks(range(len(shown.rows)), [_short(name) for name in shown.rows])
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set(fontsize=LABEL_SIZE, fontfamily=FAMILY, parse_math=False)
    axes.tick_params(length=2, pad=2)
    axes.set_xlabel(shown.column_title, fontsize=NOTE_SIZE, fontfamily=FAMILY, color="#444444")
    axes.set_ylabel(shown.row_title, fontsize=NOTE_SIZE, fontfamily=FAMILY, color="#444444")
    for side in axes.spines.values():
        side.set(linewidth=0.5, color="#888888")
    for row, words in enumerate(shown.words or ()):
        for column, word in enumerate(words):
            [line] = fitted_lines(word, width=width - 0.06, font_size=CELL_SIZE, max_lines=1)
            axes.text(
                column,
                row,
                line,
                fontsize=CELL_SIZE,
                fontfamily=FAMILY,
                color="white" if shown.values[row, column] > DARK else "#222222",
                ha="center",
                va="center",
                gid="cell",
                parse_math=False,
            )


def _head(figure: Figure, shown: TokenMap, *, at: tuple[float, float]) -> None:
    x, tall = at
    for text, down, size, weight in (
        (shown.title, 0.2, TITLE_SIZE, "bold"),
        (shown.note, 0.42, NOTE_SIZE, "normal"),
    ):
        figure.text(
            x,
            1 - down / tall,
            printable(text, bold=weight == "bold"),
            fontsize=size,
            fontfamily=FAMILY,
            fontweight=weight,
            color="black" if weight == "bold" else "#444444",
            va="center",
            gid="head",
            parse_math=False,
        )


def _short(name: str) -> str:
    return fitted_lines(name, width=LONGEST_LABEL, font_size=LABEL_SIZE, max_lines=1)[0]


def _longest(names: Sequence[str]) -> float:
    return max((text_width(_short(name), font_size=LABEL_SIZE) for name in names), default=0.0)


def _title_width(shown: TokenMap) -> float:
    title = text_width(printable(shown.title, bold=True), font_size=TITLE_SIZE, bold=True)
    return max(title, text_width(printable(shown.note), font_size=NOTE_SIZE)) - 0.25 - _longest(shown.rows)
