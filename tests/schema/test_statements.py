from circuitbase.schema.declaration import NodeLabel, Property, RelationshipType, node
from circuitbase.schema.statements import assignments, property_map, row_properties

THING = NodeLabel(
    "Thing",
    "a thing",
    (
        Property("id", "STRING", "key"),
        Property("made_at", "ZONED DATETIME", "when"),
        Property("size", "FLOAT", "size", required=False),
    ),
    key="id",
)
JOINS = RelationshipType("JOINS", "Thing", "Thing", "joins", (Property("weight", "FLOAT", "w"),))


def test_a_row_has_every_property_but_time_stamps():
    assert [property.name for property in row_properties(THING)] == ["id", "size"]


def test_property_map_takes_places_in_declared_order_and_time_from_the_server():
    assert property_map(THING) == "{id: row[0], made_at: datetime(), size: row[1]}"
    assert property_map(THING, row="$row") == "{id: $row[0], made_at: datetime(), size: $row[1]}"


def test_property_map_can_begin_behind_other_places():
    assert property_map(JOINS, first=2) == "{weight: row[2]}"


def test_assignments_leave_out_the_key_that_merge_finds_by():
    assert assignments(THING, variable="t") == "t.made_at = datetime(), t.size = row[1]"


def test_trace_nodes_are_created_with_everything_declared():
    text = property_map(node("TraceNode"))
    assert text.startswith("{index: row[0], layer: row[1], position: row[2]")
    assert text.count("row[") == len(node("TraceNode").properties)
