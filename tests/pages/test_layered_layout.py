import pytest

from circuitbase.pages.layered_layout import LINE_HEIGHT, MAX_PER_LINE, layered, ordered_rows
from tests.pages.drawings import crowded_drawing, drawn_edge, drawn_unit


def test_rows_stand_above_each_other_in_order() -> None:
    drawing = crowded_drawing(1)
    layout = layered(drawing.units, drawing.edges, n_rows=5)
    for unit in drawing.units:
        bottom, top = layout.bands[unit.row]
        assert bottom < layout.places[unit.id].y < top
    assert [band[0] for band in layout.bands[1:]] == [band[1] for band in layout.bands[:-1]]
    assert layout.height == layout.bands[-1][1]


def test_a_crowded_row_gets_more_lines_and_keeps_its_order() -> None:
    units = [drawn_unit(f"u{number:02d}", row=0) for number in range(MAX_PER_LINE + 1)]
    layout = layered(units, [], n_rows=1)
    assert layout.height == 2 * LINE_HEIGHT
    assert len({place.y for place in layout.places.values()}) == 2
    across = [layout.places[unit.id].x for unit in units]
    assert across == sorted(across)


def test_an_empty_row_keeps_its_place() -> None:
    layout = layered([drawn_unit("a", row=0), drawn_unit("b", row=4)], [], n_rows=5)
    assert len(layout.bands) == 5
    assert layout.height == pytest.approx(5 * LINE_HEIGHT)


def test_units_stand_over_their_strongest_sources() -> None:
    units = [drawn_unit(id, row=row) for id, row in (("a", 0), ("b", 0), ("c", 0), ("x", 1), ("y", 1), ("z", 1))]
    edges = [drawn_edge("a", "z"), drawn_edge("b", "y"), drawn_edge("c", "x"), drawn_edge("a", "x", influence=0.001)]
    below, above = ordered_rows(units, edges, n_rows=2)
    partner = {"a": "z", "b": "y", "c": "x"}
    assert [partner[unit] for unit in below] == above


def test_the_layout_does_not_depend_on_the_order_of_its_input() -> None:
    drawing = crowded_drawing(2)
    there = layered(drawing.units, drawing.edges, n_rows=5)
    back = layered(drawing.units[::-1], drawing.edges[::-1], n_rows=5)
    assert {id: (round(p.x, 6), round(p.y, 6)) for id, p in there.places.items()} == {
        id: (round(p.x, 6), round(p.y, 6)) for id, p in back.places.items()
    }
