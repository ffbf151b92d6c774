from io import BytesIO
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread

from circuitbase.graph.motifs.enrichment import MotifEnrichment
from circuitbase.graph.motifs.motif_type import TYPES, MotifType, Shape
from circuitbase.pages.motif_plot import FARTHEST, FEWER, MORE, UNSURE, motif_figure, motif_picture


def found(type: MotifType, count: int, null_mean: float, *, z: float | None = 0.0, p: float | None = 1.0):
    ratio = count / null_mean if null_mean else None
    return MotifEnrichment(type, count, float(count), None, null_mean, 1.0, ratio, z, 1.0, p)


ENRICHED = found(TYPES[0], 20, 10.0, z=4.0, p=0.01)
DEPLETED = found(TYPES[1], 5, 10.0, z=-3.0)
OPEN = found(TYPES[2], 1004, 1000.0)
NEVER_BY_CHANCE = found(TYPES[3], 3, 0.0, p=0.01)
FAN = found(MotifType(Shape.FAN_IN, "+", "s"), 7, 7.0, z=None, p=None)


def axes_of(*types: MotifEnrichment):
    return motif_figure(types, title="Motifs").axes[0]


def test_bars_are_octaves_and_coloured_by_what_is_sure() -> None:
    axes = axes_of(ENRICHED, DEPLETED, OPEN)
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([1.0, -1.0, 0.00576], abs=1e-4)
    colours = [axes.patches[row].get_facecolor() for row in range(3)]
    shown = ["#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in colour[:3])) for colour in colours]
    assert shown == [MORE, FEWER, UNSURE]
    texts = [text.get_text() for text in axes.texts]
    assert "20 / 10  z +4.0  p 0.01" in texts and "1004 / 1000  z +0.0  p 1" in texts


def test_what_was_not_tested_is_left_out() -> None:
    axes = axes_of(ENRICHED, FAN)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["chain:++:ss"]
    assert "no type was tested" in [text.get_text() for text in axes_of(FAN).texts]


def test_what_chance_never_makes_ends_at_the_edge_with_a_mark() -> None:
    axes = axes_of(NEVER_BY_CHANCE)
    assert axes.patches[0].get_width() == FARTHEST
    assert ">" in [text.get_text() for text in axes.texts]


def test_shapes_stay_together() -> None:
    types = [found(type, 2, 1.0) for type in TYPES]
    labels = [label.get_text().split(":")[0] for label in axes_of(*types).get_yticklabels()]
    assert list(dict.fromkeys(labels)) == [shape.value for shape in Shape]
    assert labels == sorted(labels, key=[shape.value for shape in Shape].index)


def test_nothing_is_cut_at_full_detail_and_equal_numbers_give_equal_bytes() -> None:
    types = [found(type, 123456, 123456.0, z=-100.1, p=0.0012) for type in TYPES]
    figure = motif_figure(types, title="Motifs of a set (200 traces)")
    figure.draw_without_rendering()
    for text in (*figure.texts, *figure.axes[0].texts, *figure.axes[0].get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, text.get_text()
    first = motif_picture(types, ".png", title="Motifs")
    assert first == motif_picture(types, ".png", title="Motifs")
    assert imread(BytesIO(first)).shape[2] == 4
    vector = motif_picture(types, ".svg", title="Motifs")
    assert ElementTree.fromstring(vector).tag.endswith("svg")
