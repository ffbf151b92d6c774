"""Heat maps, looked at by their pixels and texts."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from circuitbase.pages.heat_map import COLOURS, DOTS_PER_INCH, HeatMap, HeatPanel, heat_map_figure, heat_map_png
from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE

VALUES = np.array([[1.0, -0.004, -1.0], [0.0, np.nan, 0.25]])
MAP = HeatMap(
    title="Effects of heads",
    subtitle="2 pairs",
    row_names=("layer 0", "layer 1"),
    column_names=("h0", "h1", "h2"),
    value_name="share of the difference",
    panels=(HeatPanel("noising", VALUES), HeatPanel("denoising", -VALUES / 2)),
)


def test_the_scale_is_centred_at_0_and_common_to_all_panels() -> None:
    assert MAP.largest == 1.0
    assert COLOURS(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.01)
    assert COLOURS(1.0)[:3] == pytest.approx(to_rgb(POSITIVE), abs=0.01)
    assert COLOURS(0.0)[:3] == pytest.approx(to_rgb(NEGATIVE), abs=0.01)
    meshes = [axes.collections[0] for axes in heat_map_figure(MAP).axes[:2]]
    assert {mesh.get_clim() for mesh in meshes} == {(-1.0, 1.0)}


def test_layers_go_upwards_and_cells_have_their_numbers() -> None:
    first = heat_map_figure(MAP).axes[0]
    assert first.get_ylim() == (0.0, 2.0)
    assert [label.get_text() for label in first.get_yticklabels()] == ["layer 0", "layer 1"]
    numbers = {text.get_position(): text.get_text() for text in first.texts if text.get_gid() == "cell"}
    assert numbers == {
        (0.5, 0.5): "1.00",
        (1.5, 0.5): "0",
        (2.5, 0.5): "−1.00",
        (0.5, 1.5): "0",
        (2.5, 1.5): "0.25",
    }


def test_everything_written_is_inside_the_picture() -> None:
    words = ("a$very$long token", "b", "\n", "日本") * 3
    drawing = HeatMap(
        title="A title that is much longer than a small picture has place for, so it must be cut somewhere " * 2,
        subtitle="one " * 200,
        row_names=tuple(f"a{layer}.h0<pattern>" for layer in range(3)),
        column_names=words,
        value_name="change of the logit difference",
        panels=(HeatPanel("noising", np.random.default_rng(0).normal(size=(3, 12))),),
    )
    figure = heat_map_figure(drawing)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * DOTS_PER_INCH
    found = [*figure.texts, *(text for axes in figure.axes for text in (*axes.get_xticklabels(), axes.title))]
    found += [text for axes in figure.axes for text in (*axes.get_yticklabels(), axes.yaxis.label)]
    for text in found:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()


def test_equal_numbers_give_equal_bytes_and_empty_cells_are_grey() -> None:
    assert heat_map_png(MAP) == heat_map_png(MAP)
    pixels = imread(BytesIO(heat_map_png(MAP)))[:, :, :3]
    for colour in (POSITIVE, NEGATIVE, "#dddddd"):
        assert (np.abs(pixels - to_rgb(colour)).max(2) < 0.02).any()


def test_a_map_of_nothing_but_0_is_white() -> None:
    flat = HeatMap("t", "s", ("r",), ("c",), "v", (HeatPanel("p", np.zeros((1, 1))),))
    assert flat.largest == 1.0
    assert heat_map_png(flat)


def test_a_panel_of_another_shape_is_refused() -> None:
    wrong = HeatMap("t", "s", ("r",), ("c", "d"), "v", (HeatPanel("p", np.zeros((1, 1))),))
    with pytest.raises(ValueError, match=r"needs as many values, got \(1, 1\)"):
        heat_map_figure(wrong)
