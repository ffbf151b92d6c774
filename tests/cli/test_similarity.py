from circuitbase.graph.trace import Trace
from tests.cli.running import refusal, rows, run

Sets = dict[str, list[Trace]]


def test_clusters_are_listed_with_their_members(pending_sets: Sets) -> None:
    found = rows("clusters", "capital-en", "--number", "2")
    assert [row["number"] for row in found if row["row"] == "cluster"] == [1, 2]
    assert len([row for row in found if row["row"] == "member"]) == 4
    assert any(row["row"] == "distinction" for row in found)
    shown = run("clusters", "capital-en", "--number", "2", "--table").stdout
    assert "2 clusters of capital-en, silhouette" in shown and "What cluster 1 has more of" in shown


def test_traces_of_any_cypher_are_clustered_by_role(pending_sets: Sets) -> None:
    found = rows("clusters", "--traces", "MATCH (t:Trace) RETURN t", "--by-role", "--number", "2")
    assert sum(row["row"] == "member" for row in found) == 7
    assert "at most 3 are read" in refusal("clusters", "capital-en", "--most-traces", "3")


def test_similar_traces_are_listed_by_likeness(pending_sets: Sets) -> None:
    id = pending_sets["capital-en"][0].metadata.trace_id
    found = rows("similar", id[:12], "--limit", "3")
    assert len(found) == 3 and found[0]["likeness"] >= found[2]["likeness"] > 0
    assert len(rows("similar", id, "--set", "capital-fr")) == 3
    assert f"Traces like {id[:12]}, of 7" in run("similar", id, "--table").stdout
    assert "no trace begins with" in refusal("similar", "f" * 12)


def test_sets_overlap(pending_sets: Sets) -> None:
    found = rows("overlap")
    assert [row["set"] for row in found] == ["capital-en", "capital-fr"]
    assert found[0]["capital-en"] == 1 and 0 < found[0]["capital-fr"] < 1
    assert "an overlap is of two sets or more, got 1" in refusal("overlap", "capital-en")
