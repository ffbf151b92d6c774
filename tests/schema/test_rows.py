import pytest

from circuitbase.errors import DatabaseError
from circuitbase.schema.declaration import NodeLabel, Property
from circuitbase.schema.rows import row, rows

THING = NodeLabel(
    "Thing",
    "a thing",
    (
        Property("id", "STRING", "key"),
        Property("layer", "INTEGER", "layer", required=False),
        Property("weight", "FLOAT", "weight"),
        Property("tokens", "LIST<INTEGER>", "tokens", required=False),
    ),
    key="id",
)
GOOD = {"weight": [0.5, 1.5], "id": ["a", "b"], "layer": [None, 2]}


def refused(**columns: list) -> str:
    with pytest.raises(DatabaseError) as raised:
        rows(THING, {**GOOD, **columns})
    return str(raised.value)


def test_rows_are_in_declared_order_whatever_the_order_of_columns():
    assert rows(THING, GOOD) == [("a", None, 0.5, None), ("b", 2, 1.5, None)]


def test_rows_stand_between_what_comes_before_and_after():
    assert rows(THING, GOOD, before=[[7, 8]], after=[["x", "y"]])[1] == (8, "b", 2, 1.5, None, "y")


def test_no_columns_values_give_no_rows():
    assert rows(THING, {"id": [], "weight": []}) == []


def test_an_undeclared_property_is_refused():
    assert "Thing.colour is not declared" in refused(colour=["red", "blue"])


def test_a_missing_required_property_is_refused():
    with pytest.raises(DatabaseError, match=r"Thing\.weight is required, and no row has it"):
        rows(THING, {"id": ["a"]})


def test_a_wrong_type_is_named_with_its_row():
    assert "Thing.layer must be INTEGER or none, got 3.0 in row 1" in refused(layer=[None, 3.0])
    assert "Thing.weight must be FLOAT, got 1 in row 0" in refused(weight=[1, 2.0])
    assert "Thing.id must be STRING, got None in row 1" in refused(id=["a", None])
    assert "Thing.layer must be INTEGER or none, got True in row 0" in refused(layer=[True, None])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(value: float):
    assert f"Thing.weight must be FLOAT, got {value} in row 1" in refused(weight=[0.0, value])


def test_the_elements_of_lists_are_checked():
    assert rows(THING, {**GOOD, "tokens": [[1, 2], None]})[0][3] == [1, 2]
    assert "Thing.tokens must be LIST<INTEGER> or none, got [1, 'x'] in row 1" in refused(tokens=[[1], [1, "x"]])


def test_columns_of_different_lengths_are_refused():
    assert "must be equally long, got lengths [1, 2]" in refused(layer=[1])


def test_every_problem_is_listed_at_once():
    message = refused(colour=["red", "blue"], layer=["x", "y"])
    assert "colour" in message
    assert "layer" in message


def test_one_row_is_made_from_single_values():
    assert row(THING, {"id": "a", "weight": 2.0}) == ("a", None, 2.0, None)
