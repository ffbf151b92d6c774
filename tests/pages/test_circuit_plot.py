from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from circuitbase.pages.circuit_drawing import CircuitDrawing
from circuitbase.pages.circuit_plot import circuit_figure, circuit_png
from circuitbase.pages.picture_bytes import DOTS_PER_INCH
from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE
from tests.pages.drawings import ROW_NAMES, crowded_drawing, drawn_edge, drawn_unit

SMALL = CircuitDrawing(
    title="Circuit of capitals",
    subtitle="3 traces",
    row_names=ROW_NAMES,
    units=(
        drawn_unit("token", row=0, label="“Lyon”"),
        drawn_unit("a", row=1),
        drawn_unit("b", row=2, influence=0.4),
        drawn_unit("out", row=4, label="answer − distractor"),
    ),
    edges=(
        drawn_edge("token", "a", weight=-1.0),
        drawn_edge("a", "b", influence=0.4),
        drawn_edge("b", "out", influence=0.2),
    ),
)


def texts(figure: Figure, gid: str) -> list[Text]:
    return [text for text in figure.axes[0].texts if text.get_gid() == gid]


def boxes(figure: Figure, gid: str) -> list[Bbox]:
    figure.draw_without_rendering()
    # the glyphs alone: Text.get_window_extent without the shaded box behind them
    return [text.get_window_extent() for text in texts(figure, gid)]


@pytest.mark.parametrize("seed", range(2))
def test_no_two_labels_of_a_crowded_circuit_overlap(seed: int) -> None:
    found = boxes(circuit_figure(crowded_drawing(seed)), "label")
    assert len(found) >= 60
    for number, box in enumerate(found):
        for other in found[:number]:
            shared = Bbox.intersection(box, other)
            # lines of one label may touch by a pixel, as lines of text do
            assert shared is None or min(shared.width, shared.height) <= 1


@pytest.mark.parametrize("seed", range(2))
def test_everything_written_is_inside_the_picture(seed: int) -> None:
    figure = circuit_figure(crowded_drawing(seed))
    width, height = figure.get_size_inches() * DOTS_PER_INCH
    for gid in ("label", "row", "head", "note"):
        for box in boxes(figure, gid):
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= width
            assert box.y1 <= height
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert legend.get_window_extent().x1 <= width


def test_the_picture_has_the_figures_size_and_both_signs() -> None:
    pixels = imread(BytesIO(circuit_png(SMALL)))[:, :, :3]
    width, height = circuit_figure(SMALL).get_size_inches() * DOTS_PER_INCH
    assert pixels.shape[:2] == (round(height), round(width))
    for colour in (POSITIVE, NEGATIVE):
        assert (np.abs(pixels - to_rgb(colour)).max(2) < 0.02).any()
    assert (pixels == 1).all(2).mean() > 0.3


def test_equal_circuits_give_equal_bytes() -> None:
    assert circuit_png(SMALL) == circuit_png(SMALL)


def test_the_picture_says_what_it_shows() -> None:
    figure = circuit_figure(SMALL)
    assert [text.get_text() for text in texts(figure, "head")] == ["Circuit of capitals", "3 traces"]
    assert [text.get_text() for text in texts(figure, "row")] == list(ROW_NAMES)
    assert {"“Lyon”", "answer − distractor", "L00/a · 50%"} <= {text.get_text() for text in texts(figure, "label")}
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "input token",
        "feature",
        "output",
        "raises its target",
        "lowers its target",
        "influence 0.4",
        "influence 0.1",
        "in 25 % of traces",
    ]


def test_a_circuit_without_edges_can_be_drawn() -> None:
    empty = CircuitDrawing(title="Empty", subtitle="", row_names=ROW_NAMES, units=(SMALL.units[-1],), edges=())
    assert circuit_png(empty).startswith(b"\x89PNG")
    nothing = CircuitDrawing(title="Nothing", subtitle="", row_names=ROW_NAMES, units=(), edges=())
    assert circuit_png(nothing).startswith(b"\x89PNG")
