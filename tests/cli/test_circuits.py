from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from circuitbase.cli.main import main
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


def test_the_suffix_of_a_plot_says_what_it_is(pending_sets: Sets, tmp_path: Path) -> None:
    page, picture, presence = (tmp_path / name for name in ("circuit.html", "circuit.svg", "presence.PNG"))
    said = run("circuit", "capital-en", "--by-role", "--plot", str(page), "--plot-presence", str(presence)).stderr
    assert f"Drawn: {page}" in said and f"Drawn: {presence}" in said
    assert page.read_text().startswith("<!doctype html>") and presence.read_bytes().startswith(b"\x89PNG")
    run("circuit", "capital-en", "--plot", str(picture), "--plot-units", "10")
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_a_tested_contrast_is_plotted(pending_sets: Sets, tmp_path: Path) -> None:
    picture = tmp_path / "volcano.png"
    asked = ("contrast", "capital-en", "capital-fr", "--test", "--permutations", "99", "--plot", str(picture))
    assert f"Drawn: {picture}" in run(*asked).stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("circuit", "a", "--plot", "a.pdf"), "should be a file that ends in .png, .svg or .html, got 'a.pdf'"),
        (("circuit", "a", "--plot-presence", "a.html"), "should be a file that ends in .png or .svg, got 'a.html'"),
        (("circuit", "a", "--plot-units", "9"), "--plot-units says how much --plot draws, so it needs --plot"),
        (("circuit", "a", "--as-cypher", "--plot", "a.png"), "prints a query and reads nothing, so there is nothing"),
        (("contrast", "a", "b", "--test", "--plot", "volcano"), "should be a file that ends in .png or .svg, got"),
        (("motifs", "a", "--plot", "a.html"), "should be a file that ends in .png or .svg, got 'a.html'"),
        (("contrast", "a", "b", "--plot", "a.png"), "--plot shows how sure each difference is, so it needs --test"),
    ],
)
def test_a_plot_that_cannot_be_gets_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(main, list(arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


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


def test_a_circuit_says_which_of_its_paths_are_realised(pending_sets: Sets) -> None:
    found = rows("circuit", "capital-en", "--limit", "60", "--min-presence", "0.5")
    paths = [row for row in found if row["row"] == "path"]
    assert paths and all(0 < row["traces"] <= row["edges_allow"] <= 4 for row in paths)
    shown = run("circuit", "capital-en", "--table", "--limit", "60", "--min-presence", "0.5").stdout
    assert "paths over these edges" in shown and "through the same trace nodes" in shown


def test_a_circuit_of_some_labels_roles_or_cypher_is_summed_on_the_fly(pending_sets: Sets) -> None:
    run("rollup")
    whole = [row for row in rows("circuit", "capital-en", "--min-presence", "0") if row["row"] == "unit"]
    by_cypher = rows(
        "circuit", "--traces", "MATCH (t:Trace)-[:SUMMED_IN]->()-[:OVER]->(:PromptSet {name: 'capital-en'}) RETURN t",
        "--min-presence", "0",
    )  # fmt: skip
    assert [row for row in by_cypher if row["row"] == "unit"] == whole
    roles = rows("circuit", "capital-en", "--by-role", "--min-presence", "0", "--limit", "500")
    assert any(row["row"] == "unit" and row["unit"].endswith("[elsewhere]") for row in roles)
    assert "no trace of capital-en has language=fr" in refusal("circuit", "capital-en", "--where", "language=fr")
    assert "at most 3 are summed" in refusal("circuit", "capital-en", "--by-role", "--most-traces", "3")


def test_a_circuit_says_how_far_it_can_be_trusted(pending_sets: Sets) -> None:
    found = rows("circuit", "capital-en", "--bootstrap", "100", "--coverage", "--limit", "5")
    intervals = [row for row in found if row["row"] == "interval"]
    assert len(intervals) == 5 and all(" to " in row["mean_influence"] for row in intervals)
    (coverage,) = [row for row in found if row["row"] == "coverage"]
    assert 0 <= coverage["coverage"] <= 1 and coverage["clusters"] == 4
    shown = run("circuit", "capital-en", "--table", "--coverage").stdout
    assert "Coverage: of the edges of one more trace" in shown and "Reliability: " in shown


def test_a_selection_is_saved_as_a_set(pending_sets: Sets) -> None:
    saved = run("circuit", "capital-en", "--by-role", "--save-as", "mine")
    assert "Put the prompts of capital-en into the set mine (4 of them new there)." in saved.stderr
    assert "mine" in [row["set"] for row in rows("sets")]
    assert "printable name" in refusal("circuit", "capital-en", "--by-role", "--save-as", "-mine")


def test_the_cypher_of_a_circuit_gives_its_edges(pending_sets: Sets) -> None:
    run("rollup")
    text = run("circuit", "capital-en", "--as-cypher", "--limit", "7").stdout
    assert text.startswith(':param set => "capital-en";')
    query = text.split(";\n", 3)[3].replace("$set", "'capital-en'").replace("$min_presence", "0.3")
    found = rows("cypher", query.replace("$limit", "7").strip().removesuffix(";"))
    edges = [row for row in rows("circuit", "capital-en", "--limit", "7") if row["row"] == "edge"]
    assert [row["mean_influence"] for row in found] == pytest.approx([row["mean_influence"] for row in edges])


def test_a_csv_of_a_circuit_has_one_header(pending_sets: Sets) -> None:
    lines = run("circuit", "capital-en", "--csv", "--coverage").stdout.splitlines()
    assert sum(line.startswith("row,") for line in lines) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("circuit",),
        ("circuit", "capital-en", "--traces", "MATCH (t:Trace) RETURN t"),
        ("circuit", "capital-en", "--as-cypher", "--by-role"),
        ("circuit", "capital-en", "--model", "atlas"),
        ("circuit", "capital-en", "--complete"),
        ("circuit", "capital-en", "--where", "fr"),
        ("contrast", "capital-en"),
        ("contrast", "capital-en", "capital-fr", "--split", "a=b,c"),
        ("contrast", "capital-en", "--split", "a=b"),
        ("contrast", "capital-en", "capital-fr", "--match-length"),
    ],
)
def test_options_that_do_not_go_together_are_a_matter_of_usage(pending_sets: Sets, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, list(arguments))
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_contrast_is_tested_over_single_traces(pending_sets: Sets) -> None:
    found = rows("contrast", "capital-en", "capital-fr", "--test", "--permutations", "99")
    (test,) = [row for row in found if row["row"] == "test"]
    assert (test["first_traces"], test["second_traces"], test["exact"], test["permutations"]) == (4, 3, True, 35)
    edges = [row for row in found if row["row"] == "edge"]
    assert len(edges) == test["edges"] and all(0 < row["p"] <= row["q"] <= 1 for row in edges)
    shown = run("contrast", "capital-en", "capital-fr", "--test", "--table").stdout
    assert "labels permuted over clusters in all 35 ways" in shown and "none differs" in shown
    assert "4 against 3 traces" in shown


def test_labels_of_one_set_are_contrasted_from_sums(pending_sets: Sets) -> None:
    problem = refusal("contrast", "capital-en", "--split", "language=en,fr")
    assert "no trace of capital-en has language=en" in problem
    both = rows("contrast", "capital-en", "capital-fr", "--by-role")
    assert [(row["set"], row["traces"]) for row in both if row["row"] == "set"] == [
        ("capital-en", 4),
        ("capital-fr", 3),
    ]
