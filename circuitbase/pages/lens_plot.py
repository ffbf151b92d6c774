"""Pictures of the logit lens and of direct logit attribution."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from jaxtyping import Float64
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from circuitbase.pages.label_text import FAMILY, printable
from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE
from circuitbase.pages.token_map import DOTS_PER_INCH, LABEL_SIZE, NOTE_SIZE, TITLE_SIZE, TokenMap, token_maps_png

WORD_CELL, BARE_CELL, EFFECT_CELL = (0.75, 0.26), (0.17, 0.26), (0.32, 0.2)  # inches
MOST_WORDS = 60  # positions, beyond which cells hold no words
BAR_HEIGHT, BARS_WIDTH = 0.2, 4.2  # inches


def lens_png(
    *,
    title: str,
    tokens: Sequence[str],
    predicted: Sequence[Sequence[str]],
    probability: Float64[np.ndarray, "layer position"],
) -> bytes:
    """Returns the logit lens as a PNG: layers upwards, the model's own answer on top; darker is more probable."""
    n_layers = len(predicted) - 1
    names = [f"after {n_layers} blocks", *(f"before block {layer}" for layer in range(n_layers - 1, -1, -1))]
    few = len(tokens) <= MOST_WORDS
    shown = TokenMap(
        title=title,
        note="Most probable next token if the model ended there; colour: its probability.",
        rows=tuple(names),
        columns=tuple(tokens),
        values=probability[::-1],
        scale="share",
        column_title="position",
        words=tuple(tuple(row) for row in reversed(predicted)) if few else None,
    )
    return token_maps_png([shown], cell=WORD_CELL if few else BARE_CELL)


def attribution_png(
    *, title: str, note: str, components: Sequence[str], effect: Float64[np.ndarray, " component"]
) -> bytes:
    """Returns effects on a logit as bars, in the order given; colour says the sign."""
    height = 0.75 + BAR_HEIGHT * len(components) + 0.45
    figure = Figure(figsize=(BARS_WIDTH + 1.6, height), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (
            1.1 / (BARS_WIDTH + 1.6),
            0.45 / height,
            BARS_WIDTH / (BARS_WIDTH + 1.6),
            BAR_HEIGHT * len(components) / height,
        )
    )
    places = np.arange(len(components))
    axes.barh(places, effect, height=0.75, color=[POSITIVE if each >= 0 else NEGATIVE for each in effect])
    axes.axvline(0, color="#333333", linewidth=0.6)
    axes.set_ylim(len(components) - 0.4, -0.6)
    axes.set_yticks(places, [printable(name) for name in components])
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set(fontsize=LABEL_SIZE, fontfamily=FAMILY)
    axes.set_xlabel("effect on the logit", fontsize=NOTE_SIZE, fontfamily=FAMILY)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for text, down, size, weight in ((title, 0.2, TITLE_SIZE, "bold"), (note, 0.45, NOTE_SIZE, "normal")):
        shown = printable(text, bold=weight == "bold")
        figure.text(0.02, 1 - down / height, shown, fontsize=size, fontfamily=FAMILY, fontweight=weight, va="center")
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def attribution_by_position_png(
    *,
    title: str,
    note: str,
    components: Sequence[str],
    tokens: Sequence[str],
    effect: Float64[np.ndarray, "component position"],
) -> bytes:
    """Returns effects by component and by the position whose values were moved; blue raises the logit."""
    shown = TokenMap(
        title=title,
        note=note,
        rows=tuple(components),
        columns=tuple(tokens),
        values=effect,
        scale="signed",
        column_title="position",
    )
    return token_maps_png([shown], cell=EFFECT_CELL)
