from pathlib import Path

import pytest

from circuitbase.graph.trace import Trace
from tests.cli.running import refusal, rows, run

Sets = dict[str, list[Trace]]


def test_a_circuit_has_units_and_edges_and_adds_what_is_pending(pending_sets: Sets) -> None:
    first = run("circuit", "capital-en")
    assert "Added 4 pending traces to the sums of capital-en." in first.stderr
    found = rows("circuit", "capital-en", "--limit", "5", "--min-presence", "0.5")
    units = [row for row in found if row["row"] == "unit"]
    edges = [row for row in found if row["row"] == "edge"]
    assert len(units) == len(edges) == 5
    assert all(row["presence"] >= 0.5 for row in found)
    influence = [row["mean_influence"] for row in edges]
    assert influence == sorted(influence, reverse=True)


def test_a_circuit_as_a_table_says_over_how_many_traces(pending_sets: Sets) -> None:
    shown = run("circuit", "capital-en", "--table", "--limit", "3").stdout
    assert "Global circuit of capital-en: 4 traces" in shown
    assert "Units (3 of " in shown and "Edges (3 of " in shown


def test_edges_rank_by_share_when_asked(pending_sets: Sets) -> None:
    shares = [row["mean_share"] for row in rows("circuit", "capital-en", "--by", "share") if row["row"] == "edge"]
    assert shares == sorted(shares, reverse=True)


def test_a_circuit_is_drawn(pending_sets: Sets, tmp_path: Path) -> None:
    picture = tmp_path / "circuit.png"
    assert f"Drawn: {picture}" in run("circuit", "capital-en", "--png", str(picture)).stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_unknown_set_is_refused(pending_sets: Sets) -> None:
    assert "there is no prompt set 'capitals'" in refusal("circuit", "capitals")
    assert "there is no prompt set 'capitals'" in refusal("contrast", "capital-en", "capitals")


def test_a_presence_is_a_fraction(pending_sets: Sets) -> None:
    run("rollup")
    assert "must be a fraction from 0 to 1, got 30" in refusal("circuit", "capital-en", "--min-presence", "30")


def test_a_contrast_shows_both_sets_what_they_share_and_where_they_differ(pending_sets: Sets) -> None:
    found = rows("contrast", "capital-en", "capital-fr", "--min-presence", "0.3", "--limit", "1000")
    sets = [row for row in found if row["row"] == "set"]
    assert [(row["set"], row["traces"]) for row in sets] == [("capital-en", 4), ("capital-fr", 3)]
    shared = [row for row in found if row["row"] == "shared unit"]
    assert shared and all(min(row["first_presence"], row["second_presence"]) >= 0.3 for row in shared)
    assert all(row["difference"] == row["first_presence"] - row["second_presence"] for row in shared)
    edges = [row for row in found if row["row"] == "shared edge"]
    assert edges and all("share_difference" in row and "sign_flips" in row for row in edges)


@pytest.mark.parametrize("row", ["shared unit", "differing unit", "shared edge", "differing edge", "flipping edge"])
def test_tokens_and_outputs_are_listed_apart(pending_sets: Sets, row: str) -> None:
    found = rows("contrast", "capital-en", "capital-fr", "--min-presence", "0", "--limit", "100000")
    ends = [
        end
        for each in found
        if each["row"] == row
        for end in ([each["unit"]] if "unit" in row else [each["source"], each["target"]])
    ]
    assert not [end for end in ends if not end.startswith("L0")]
    assert [each for each in found if each["row"] == "shared token or output"]


def test_a_contrast_as_tables_names_every_list(pending_sets: Sets) -> None:
    shown = run("contrast", "capital-en", "capital-fr", "--table").stdout
    for title in ("The two sets", "Features and errors in at least 30%", "Tokens and outputs that tell"):
        assert title in shown
