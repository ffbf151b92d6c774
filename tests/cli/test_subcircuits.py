from neo4j import Driver

from circuitbase.graph.trace import Trace
from tests.cli.running import refusal, rows, run

Sets = dict[str, list[Trace]]
FEW = ("--min-support", "3", "--budget", "100", "--top", "4")


def test_subcircuits_come_with_their_edges(pending_sets: Sets) -> None:
    found = rows("subcircuits", "capital-en", *FEW)
    assert [row["number"] for row in found] == [1, 2, 3, 4]
    for row in found:
        assert len(row["edges"]) == row["size"] and row["traces"] >= 3 and row["support"] == row["traces"] / 4
        ends = {end for edge in row["edges"] for end in (edge["source"], edge["target"])}
        assert ends == set(row["units"].split(", ")) and not any(end.endswith("error") for end in ends)
    values = [row["size"] * row["traces"] for row in found]
    assert values == sorted(values, reverse=True) and all(row["lift"] is None for row in found)


def test_a_background_gives_lifts(pending_sets: Sets) -> None:
    lifts = [row["lift"] for row in rows("subcircuits", "capital-en", *FEW, "--background", "capital-fr")]
    assert lifts == sorted(lifts, reverse=True) and lifts[0] > 0


def test_a_table_says_where_they_were_looked_for_and_when_the_budget_was_spent(pending_sets: Sets) -> None:
    shown = run("subcircuits", "capital-en", *FEW, "--budget", "4", "--table", "--show-edges", "2")
    assert "Subcircuits of capital-en: 4 traces, in at least 3 of them" in shown.stdout
    assert "Edges of number 2" in shown.stdout and "Edges of number 3" not in shown.stdout
    assert "The search stopped after trying 4 sets" in shown.stderr


def test_stored_subcircuits_are_motifs(pending_sets: Sets, database: Driver) -> None:
    assert "Stored 4 subcircuits of capital-en." in run("subcircuits", "capital-en", *FEW, "--store").stderr
    (row,) = database.execute_query(
        "MATCH (m:Motif {kind: 'subcircuit'}) RETURN count(m) AS n, collect(DISTINCT m.created_by) AS made_by"
    ).records
    assert row["n"] == 4
    assert row["made_by"] == ["circuitbase subcircuits capital-en --min-support 3 --top 4 --budget 100"]


def test_what_cannot_be_looked_for_is_refused(pending_sets: Sets) -> None:
    run("rollup")
    assert "there is no prompt set 'capitals'" in refusal("subcircuits", "capitals")
    assert "there is no prompt set 'capitals'" in refusal("subcircuits", "capital-en", "--background", "capitals")
    assert "must be from 1 to 4" in refusal("subcircuits", "capital-en", "--min-support", "5")
