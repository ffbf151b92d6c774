from circuitbase.pages.circuit_drawing import strongest
from tests.pages.drawings import drawn_edge, drawn_unit

OUTPUT = drawn_unit("out", row=4, influence=0.0)


def test_the_most_influential_units_are_kept_and_outputs_always() -> None:
    units = [drawn_unit("a", influence=0.1), drawn_unit("b", influence=0.3), drawn_unit("c", influence=0.2), OUTPUT]
    edges = [drawn_edge(unit.id, "out") for unit in units[:3]]
    kept, inside = strongest(units, edges, max_units=3, max_edges=10)
    assert [unit.id for unit in kept] == ["out", "b", "c"]
    assert [(edge.source, edge.target) for edge in inside] == [("b", "out"), ("c", "out")]


def test_the_most_influential_edges_between_them_are_kept() -> None:
    units = [drawn_unit("a"), drawn_unit("b"), OUTPUT]
    edges = [drawn_edge("a", "out", influence=0.1), drawn_edge("b", "out", influence=0.3), drawn_edge("b", "missing")]
    kept, inside = strongest(units, edges, max_units=9, max_edges=1)
    assert [edge.source for edge in inside] == ["b"]
    assert [unit.id for unit in kept] == ["out", "b"]


def test_an_output_without_edges_stays() -> None:
    kept, inside = strongest([OUTPUT, drawn_unit("a")], [], max_units=9, max_edges=9)
    assert ([unit.id for unit in kept], inside) == (["out"], ())
