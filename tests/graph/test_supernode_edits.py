from circuitbase.graph.supernode_edits import Constraints, SupernodeEdit, constraints, names

UNITS = ("a", "b", "c", "d")


def test_a_merge_puts_together_and_a_pin_shuts() -> None:
    merge, pin = SupernodeEdit("merge", ("b", "a")), SupernodeEdit("pin", ("c", "d"))
    found = constraints([merge, pin], units=UNITS)
    assert found == Constraints(together=(("a", "b"), ("c", "d")), shut=frozenset("cd"))


def test_a_split_keeps_apart() -> None:
    found = constraints([SupernodeEdit("split", ("a",), others=("b", "c"))], units=UNITS)
    assert found.apart == {("a", "b"), ("a", "c")} and found.together == ()


def test_the_later_of_two_edits_holds() -> None:
    merge, split = SupernodeEdit("merge", ("a", "b")), SupernodeEdit("split", ("a",), others=("b",))
    assert constraints([merge, split], units=UNITS) == Constraints(apart=frozenset([("a", "b")]))
    assert constraints([split, merge], units=UNITS) == Constraints(together=(("a", "b"),))


def test_a_conflict_through_a_third_unit_is_the_older_ones_loss() -> None:
    chain = [SupernodeEdit("merge", ("a", "b")), SupernodeEdit("merge", ("b", "c"))]
    found = constraints([*chain, SupernodeEdit("split", ("a",), others=("c",))], units=UNITS)
    assert found == Constraints(together=(("b", "c"),), apart=frozenset([("a", "c")]))


def test_a_merge_after_a_pin_opens_it() -> None:
    pin, merge = SupernodeEdit("pin", ("a", "b")), SupernodeEdit("merge", ("b", "c"))
    assert constraints([pin, merge], units=UNITS).together == (("a", "b", "c"),)
    assert constraints([merge, pin], units=UNITS).together == (("a", "b"),)


def test_units_that_are_gone_ask_nothing() -> None:
    assert constraints([SupernodeEdit("merge", ("a", "x"))], units=UNITS) == Constraints()


def test_a_name_follows_most_of_the_members_it_was_given_to() -> None:
    groups = [("a", "b"), ("c", "d", "e")]
    edits = [
        SupernodeEdit("name", ("b", "c", "d"), name="states"),
        SupernodeEdit("name", ("a",), name="old"),
        SupernodeEdit("name", ("a", "b"), name="cities"),
        SupernodeEdit("name", ("x",), name="nobody"),
    ]
    assert names(edits, groups) == {0: "cities", 1: "states"}
    assert names(edits, []) == {}
