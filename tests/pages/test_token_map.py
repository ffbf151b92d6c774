from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from circuitbase.pages.lens_plot import attribution_by_position_png, attribution_png, lens_png
from circuitbase.pages.pattern_plot import patterns_png
from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE
from circuitbase.pages.token_map import DOTS_PER_INCH, TokenMap, token_maps_figure, token_maps_png

VALUES = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3]])
SHOWN = TokenMap(
    title="A title that is wider than its cells",
    note="note",
    rows=("upper", "a name that is so long that no label may have its whole length"),
    columns=("one", "$two$", "three"),
    values=VALUES,
    scale="share",
    words=(("a", "b", "an overlong word"), ("d", "$", "f")),
)


@pytest.mark.parametrize("count", [1, 3])
def test_everything_written_is_inside_the_picture(count: int) -> None:
    figure = token_maps_figure([SHOWN] * count, cell=(0.5, 0.25))
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * DOTS_PER_INCH
    written = [text for axes in figure.axes for text in (*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels())]
    boxes = [text.get_window_extent() for text in (*written, *figure.texts)]
    assert len(boxes) > 10 * count
    for box in boxes:
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_words_stay_in_their_cells_and_tokens_are_not_read_as_mathematics() -> None:
    figure = token_maps_figure([SHOWN], cell=(0.5, 0.25))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    words = [text for text in axes.texts if text.get_gid() == "cell"]
    assert len(words) == 6
    assert all(word.get_window_extent().width <= 0.5 * DOTS_PER_INCH for word in words)
    assert "$" in {word.get_text() for word in words}


def test_equal_maps_give_equal_bytes() -> None:
    assert token_maps_png([SHOWN], cell=(0.5, 0.25)) == token_maps_png([SHOWN], cell=(0.5, 0.25))


def test_bars_have_the_colour_of_their_sign() -> None:
    content = attribution_png(title="t", note="n", components=["m0", "m1"], effect=np.array([1.0, -1.0]))
    pixels = imread(BytesIO(content))[:, :, :3]
    for colour in (POSITIVE, NEGATIVE):
        assert (np.abs(pixels - to_rgb(colour)).max(2) < 0.02).any()


def test_a_long_prompt_has_no_words_in_its_cells_and_every_kind_of_picture_is_drawn() -> None:
    tokens = [f"{place} word" for place in range(80)]
    predicted = [["token"] * 80] * 3
    long = imread(BytesIO(lens_png(title="t", tokens=tokens, predicted=predicted, probability=np.ones((3, 80)))))
    assert long.shape[1] < 80 * 0.25 * DOTS_PER_INCH
    by_position = attribution_by_position_png(
        title="t", note="n", components=["m0"], tokens=tokens[:3], effect=np.zeros((1, 3))
    )
    patterns = patterns_png(heads=["L00/head/0"] * 2, tokens=tokens[:3], patterns=[np.eye(3)] * 2)
    assert by_position.startswith(b"\x89PNG")
    assert patterns.startswith(b"\x89PNG")
