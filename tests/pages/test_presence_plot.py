from dataclasses import replace
from xml.etree import ElementTree

import pytest

from circuitbase.pages.presence_plot import LABELLED, presence_figure, presence_picture
from circuitbase.queries.intervals import wilson
from tests.pages.invented_circuits import invented_circuit, invented_labels
from tests.pages.pictures import assert_labels_are_apart, assert_nothing_is_cut, every_text

SMALL, LARGE = invented_circuit(10), invented_circuit(200)


@pytest.mark.parametrize("circuit", [SMALL, LARGE], ids=["10 units", "200 units"])
def test_every_label_can_be_read(circuit) -> None:
    figure = presence_figure(circuit, invented_labels(circuit))
    assert_nothing_is_cut(figure)
    assert_labels_are_apart(figure)
    assert sum(text.get_gid() == "label" for text in every_text(figure)) == 2 * LABELLED


def test_a_point_stands_at_presence_and_mean_weight_and_points_the_way_of_its_sign() -> None:
    one = SMALL.edges[0]
    flipping = replace(one, mean_weight=-2.0, presence=wilson(60, 120), sign_agreement=wilson(35, 60))
    axes = presence_figure(replace(SMALL, edges=(flipping,)), {}).axes[0]
    [points] = axes.collections
    assert points.get_offsets().tolist() == [[0.5, -2.0]]
    corners = points.get_paths()[0].vertices[:3, 1].round(6).tolist()
    assert corners.count(min(corners)) == 1
    assert points.get_facecolor()[0, :3].tolist() == [1, 1, 1]
    labels = [text.get_text() for text in axes.texts if text.get_gid() == "label"]
    assert labels == [one.source_name, f"→ {one.target_name}"]


def test_a_circuit_without_edges_and_a_vector_picture_can_be_drawn() -> None:
    assert presence_picture(replace(SMALL, edges=()), {}, ".png").startswith(b"\x89PNG")
    first, second = (presence_picture(SMALL, {}, ".svg") for _ in range(2))
    assert first == second and ElementTree.fromstring(first).tag.endswith("svg")
