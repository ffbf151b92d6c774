"""Labels as lines that fit their place and that the font can draw."""

from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font

FAMILY = "DejaVu Sans"  # comes with matplotlib, so a picture is the same on every machine
SEPARATOR = " · "
POINTS_PER_INCH = 72
MISSING = "\N{WHITE SQUARE}"
_MEASURED_SIZE = 100.0


def fitted_lines(
    text: str, *, width: float, font_size: float, max_lines: int, bold: bool = False, any_font: bool = False
) -> list[str]:
    """Returns `text` in at most `max_lines` lines of at most `width` inches, at least one line.

    Lines break at spaces where they can; what does not fit ends in an ellipsis. Characters that the font lacks stay
    with `any_font`, for a reader that has other fonts, and count as square.
    """
    words = (_visible(text) if any_font else printable(text, bold=bold)).split(" ")
    lines = [""]
    for place, word in enumerate(words):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if text_width(longer, font_size=font_size, bold=bold) <= width:
            lines[-1] = longer
        elif len(lines) < max_lines and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = " ".join([lines[-1], *words[place:]]).strip()
            break
    return [_cut(line.strip(SEPARATOR), width=width, font_size=font_size, bold=bold) for line in lines]


def printable(text: str, *, bold: bool = False) -> str:
    """Returns the text with line breaks and tabs made visible and a white square for what the font lacks."""
    return "".join(character if _has(character, bold) else MISSING for character in _visible(text))


def text_width(text: str, *, font_size: float, bold: bool = False) -> float:
    """Returns the width of one line of text in inches."""
    return sum(_advance(character, bold) for character in text) * font_size / POINTS_PER_INCH


def _visible(text: str) -> str:
    return text.replace("\n", "⏎").replace("\t", "⇥")


def _cut(line: str, *, width: float, font_size: float, bold: bool) -> str:
    if text_width(line, font_size=font_size, bold=bold) <= width:
        return line
    while line and text_width(f"{line}…", font_size=font_size, bold=bold) > width:
        line = line[:-1]
    return f"{line.rstrip()}…"


@cache
def _advance(character: str, bold: bool) -> float:
    """Returns how far a character moves on, in units of the font size."""
    if not _has(character, bold):
        return 1.0
    font = _font(bold)
    font.set_size(_MEASURED_SIZE, POINTS_PER_INCH)
    return float(font.load_char(ord(character)).linearHoriAdvance) / 65536 / _MEASURED_SIZE


@cache
def _has(character: str, bold: bool) -> bool:
    return bool(_font(bold).get_char_index(ord(character)))


def _font(bold: bool) -> FT2Font:
    return get_font(findfont(FontProperties(family=FAMILY, weight="bold" if bold else "normal")))
