"""Curves of faithfulness."""

from circuitbase.pages.faithfulness_plot import FaithfulnessLine, faithfulness_figure, faithfulness_png

LINES = (
    FaithfulnessLine("by score", (0.01, 0.1, 1.0), (0.1, 0.9, 1.0), (0.0, 0.8, 1.0), (0.2, 1.0, 1.0)),
    FaithfulnessLine("by |score|", (0.01, 0.1, 1.0), (None, 0.7, 1.0), (None, None, 1.0), (None, None, 1.0)),
)


def test_sizes_without_a_number_are_left_out() -> None:
    (axes,) = faithfulness_figure("Circuits", LINES).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert (drawn["by score"], drawn["by |score|"]) == ([0.1, 0.9, 1.0], [0.7, 1.0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1%", "10%", "100%"]


def test_equal_numbers_give_equal_bytes() -> None:
    assert faithfulness_png("Circuits", LINES) == faithfulness_png("Circuits", LINES)
