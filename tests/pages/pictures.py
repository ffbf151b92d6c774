"""What a test asks of any picture: nothing cut off, no two labels over each other."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text


def every_text(figure: Figure) -> list[Text]:
    """Returns what is written on a figure, its axes and its legends."""
    figure.draw_without_rendering()
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def assert_nothing_is_cut(figure: Figure) -> None:
    """Asserts that everything written lies within the figure."""
    for text in every_text(figure):
        box = text.get_window_extent()
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, text.get_text()


def assert_labels_are_apart(figure: Figure) -> None:
    """Asserts that no two texts of the gid `label` overlap by more than a pixel."""
    boxes = [text.get_window_extent() for text in every_text(figure) if text.get_gid() == "label"]
    low, high = np.array([box.min for box in boxes]), np.array([box.max for box in boxes])
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    np.fill_diagonal(shared[:, :, 0], 0)
    assert shared.min(2).max() <= 1
