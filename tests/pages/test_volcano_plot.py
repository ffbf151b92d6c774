import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from matplotlib.colors import to_hex

from circuitbase.pages.plot_legend import NEGATIVE, POSITIVE
from circuitbase.pages.scatter_frame import SIZE
from circuitbase.pages.side_labels import most_labels
from circuitbase.pages.volcano_plot import UNSURE, volcano_figure, volcano_picture
from tests.pages.invented_contrast import contrasted_edge, invented_contrast
from tests.pages.pictures import assert_labels_are_apart, assert_nothing_is_cut, every_text

FEW, MANY = invented_contrast(10, n_differing=4), invented_contrast(300, n_differing=80)


def of(*edges):
    return replace(FEW, edges=edges)


def points(found, **options):
    return volcano_figure(found, {}, **options).axes[0].collections


@pytest.mark.parametrize("found", [FEW, MANY], ids=["few", "many"])
def test_every_label_can_be_read(found) -> None:
    long = {edge.source: "Bordeaux, gouverneur, capitale, $x_1$, 東京" for edge in found.edges}
    named = replace(found, first=replace(found.first, name="a very long name of a set of prompts " * 3))
    figure = volcano_figure(named, long)
    assert_nothing_is_cut(figure)
    assert_labels_are_apart(figure)


def test_as_many_discoveries_are_labelled_as_there_is_room_for() -> None:
    labels = [text for text in every_text(volcano_figure(MANY, {})) if text.get_gid() == "label"]
    assert len(labels) == 2 * 2 * most_labels(SIZE[1])
    few = [text for text in every_text(volcano_figure(FEW, {})) if text.get_gid() == "label"]
    assert len(few) == 2 * 4


def test_a_point_stands_at_effect_and_sureness_in_the_colour_of_its_side() -> None:
    found = of(
        contrasted_edge(1, effect=1.5, q=0.001),
        contrasted_edge(2, effect=-1.0, q=0.04),
        contrasted_edge(3, effect=0.2, q=0.5),
    )
    drawn = {tuple(each.get_offsets()[0].tolist()): to_hex(each.get_facecolor()[0]) for each in points(found)}
    assert drawn == {
        (1.5, -math.log10(0.001)): POSITIVE,
        (-1.0, -math.log10(0.04)): NEGATIVE,
        (0.2, -math.log10(0.5)): UNSURE,
    }
    stricter = [to_hex(each.get_facecolor()[0]) for each in points(found, rate=0.01)]
    assert sorted(stricter) == sorted([POSITIVE, UNSURE, UNSURE])


def test_edges_from_tokens_are_hollow_squares_and_flips_are_crossed() -> None:
    plain, token = (contrasted_edge(1, effect=1.0, q=0.01, kind=kind) for kind in ("Feature", "InputToken"))
    [circle], [square] = points(of(plain)), points(of(token))
    assert len(square.get_paths()[0].vertices) < len(circle.get_paths()[0].vertices)
    assert square.get_facecolor()[0, :3].tolist() == [1, 1, 1]
    assert len(points(of(replace(plain, flips=True)))) == 2


def test_edges_without_spread_are_counted_and_not_drawn() -> None:
    figure = volcano_figure(of(contrasted_edge(1, effect=None, q=1.0)), {})
    assert not figure.axes[0].collections
    said = [text.get_text() for text in every_text(figure)]
    assert any("1 edges without spread are not drawn" in text for text in said) and "no edge has any spread" in said


def test_equal_contrasts_give_equal_bytes() -> None:
    first, second = (volcano_picture(FEW, {}, ".svg") for _ in range(2))
    assert first == second and ElementTree.fromstring(first).tag.endswith("svg")
    assert volcano_picture(FEW, {}, ".png").startswith(b"\x89PNG")
