from dataclasses import replace

from circuitbase.pages.global_circuit_drawing import drawing_of
from circuitbase.pages.role_columns import NO_ROLE, role_columns
from tests.pages.drawings import drawn_edge, drawn_unit
from tests.pages.invented_circuits import ROLES, invented_circuit


def test_units_without_roles_have_no_columns() -> None:
    units = (drawn_unit("a"), drawn_unit("b"))
    assert role_columns(units, [drawn_edge("a", "b")]) == (units, ())


def test_columns_stand_in_the_order_in_which_influence_flows() -> None:
    units = [replace(drawn_unit(id), column=id) for id in ("zebra", "middle", "answer")]
    edges = [drawn_edge("zebra", "middle"), drawn_edge("middle", "answer"), drawn_edge("zebra", "answer")]
    assert role_columns(units, edges)[1] == ("zebra", "middle", "answer")


def test_what_has_no_position_stands_last_and_outputs_stand_above_all() -> None:
    units = [drawn_unit("a"), replace(drawn_unit("b"), column="city"), drawn_unit("out", row=4)]
    placed, names = role_columns(units, [drawn_edge("a", "b"), drawn_edge("b", "out")])
    assert names == ("city", NO_ROLE)
    assert [unit.column for unit in placed] == [NO_ROLE, "city", None]


def test_a_circuit_by_role_has_its_roles_as_columns_and_not_in_its_names() -> None:
    drawing = drawing_of(invented_circuit(200, by_role=True), {}, max_units=200, max_edges=400)
    assert drawing.column_names == ROLES
    assert not [unit.name for unit in drawing.units if "[" in unit.name]
    assert {unit.column for unit in drawing.units if unit.role == "output"} == {None}
    assert {unit.label for unit in drawing.units if unit.role == "token"} <= set(ROLES)
