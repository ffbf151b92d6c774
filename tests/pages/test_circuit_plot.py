from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from circuitbase.pages.circuit_drawing import CircuitDrawing
from circuitbase.pages.circuit_plot import circuit_figure, circuit_png, edge_curve
from circuitbase.pages.global_circuit_drawing import drawing_of
from circuitbase.pages.layered_layout import Place
from circuitbase.pages.picture_bytes import DOTS_PER_INCH, picture_bytes
from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE
from tests.pages.drawings import ROW_NAMES, crowded_drawing, drawn_edge, drawn_unit
from tests.pages.invented_circuits import invented_circuit, invented_labels

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


def invented_drawing(n_units: int, *, by_role: bool = False) -> CircuitDrawing:
    circuit = invented_circuit(n_units, by_role=by_role)
    return drawing_of(circuit, invented_labels(circuit), max_units=n_units, max_edges=2 * n_units)


DRAWINGS = {
    "crowded": crowded_drawing(0),
    "crowded otherwise": crowded_drawing(1),
    "10 units": invented_drawing(10),
    "200 units": invented_drawing(200),
    "200 units by role": invented_drawing(200, by_role=True),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_two_labels_overlap(name: str) -> None:
    drawing = DRAWINGS[name]
    found = boxes(circuit_figure(drawing), "label")
    assert len(found) >= 2 * len(drawing.units)
    low, high = np.array([box.min for box in found]), np.array([box.max for box in found])
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    np.fill_diagonal(shared[:, :, 0], 0)
    # lines of one label may touch by a pixel, as lines of text do
    assert shared.min(2).max() <= 1


@pytest.mark.parametrize("name", DRAWINGS)
def test_everything_written_is_inside_the_picture(name: str) -> None:
    figure = circuit_figure(DRAWINGS[name])
    width, height = figure.get_size_inches() * DOTS_PER_INCH
    for gid in ("label", "row", "column", "head", "note"):
        for box in boxes(figure, gid):
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= width
            assert box.y1 <= height
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert legend.get_window_extent().x1 <= width
    assert legend.get_window_extent().y0 >= 0


def test_the_picture_has_the_figures_size_and_both_signs() -> None:
    pixels = imread(BytesIO(circuit_png(SMALL)))[:, :, :3]
    width, height = circuit_figure(SMALL).get_size_inches() * DOTS_PER_INCH
    assert pixels.shape[:2] == (round(height), round(width))
    for colour in (POSITIVE, NEGATIVE):
        assert (np.abs(pixels - to_rgb(colour)).max(2) < 0.02).any()
    assert (pixels == 1).all(2).mean() > 0.3


def test_equal_circuits_give_equal_bytes() -> None:
    assert circuit_png(SMALL) == circuit_png(SMALL)
    first, second = (picture_bytes(circuit_figure(SMALL), ".svg") for _ in range(2))
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")


def test_edges_that_lower_their_target_are_dashed() -> None:
    edges = [patch for patch in circuit_figure(SMALL).axes[0].patches if isinstance(patch, PathPatch)]
    assert {edge.get_linestyle() == "solid" for edge in edges if to_hex(edge.get_edgecolor()) == POSITIVE} == {True}
    assert {edge.get_linestyle() == "solid" for edge in edges if to_hex(edge.get_edgecolor()) == NEGATIVE} == {False}


def test_an_edge_past_other_rows_leaves_room_for_what_stands_between() -> None:
    straight = edge_curve(Place(1.0, 0.0), Place(1.0, 3.0), above=0.1, below=0.1)
    assert {x for x, _ in straight[1:3]} != {1.0} and straight[0] == (1.0, 0.1) and straight[3] == (1.0, 2.9)
    near = edge_curve(Place(1.0, 0.0), Place(1.0, 0.86), above=0.1, below=0.1)
    assert {x for x, _ in near} == {1.0}


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
