import pytest

from circuitbase.pages.label_text import MISSING, fitted_lines, printable, text_width


def test_a_short_label_is_one_line() -> None:
    assert fitted_lines("Lyon · Bordeaux", width=3.0, font_size=8.0, max_lines=2) == ["Lyon · Bordeaux"]


def test_a_long_label_breaks_at_a_space_and_loses_the_separator_there() -> None:
    assert fitted_lines("gouverneur · capitale", width=1.0, font_size=8.0, max_lines=2) == ["gouverneur", "capitale"]


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    first, second = fitted_lines("one two three four five six seven", width=0.6, font_size=8.0, max_lines=2)
    assert first == "one two"
    assert second.endswith("…")


@pytest.mark.parametrize("text", ["", "W" * 80, "a b", "· · · · · · · · · · ·", "x" * 30 + " y"])
@pytest.mark.parametrize("bold", [True, False])
def test_no_line_is_wider_than_its_place(text: str, bold: bool) -> None:
    lines = fitted_lines(text, width=1.2, font_size=8.5, bold=bold, max_lines=2)
    assert 1 <= len(lines) <= 2
    assert all(text_width(line, font_size=8.5, bold=bold) <= 1.2 for line in lines)


def test_bold_text_is_wider() -> None:
    assert text_width("capital", font_size=8.0, bold=True) > text_width("capital", font_size=8.0)
    assert text_width("capital", font_size=16.0) == pytest.approx(2 * text_width("capital", font_size=8.0))


def test_what_the_font_cannot_draw_is_shown_as_a_square() -> None:
    assert printable("a\nb\tc東") == f"a⏎b⇥c{MISSING}"
    assert printable(MISSING, bold=True) == MISSING
