"""`patch`, `scrub` and `component-circuit` on a tiny model."""

import json
from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.settings import Settings
from tests.cli.running import refusal, rows, run
from tests.tiny_models import write_tiny_model

PAIRS = [
    ("the alpha of beta is", "the gamma of beta is", "delta", "epsilon"),
    ("the gamma of beta is", "the alpha of beta is", "epsilon", "delta"),
    ("the alpha of zeta is", "the gamma of zeta is", "delta", ["epsilon", "eta"]),
]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Returns a file of pairs and the option of a tiny model of 2 layers of 2 heads."""
    folder = tmp_path_factory.mktemp("patching")
    keys = ("clean", "corrupted", "correct", "wrong")
    pairs = folder / "pairs.json"
    pairs.write_text(json.dumps({"pairs": [dict(zip(keys, pair, strict=True)) for pair in PAIRS]}))
    return str(pairs), "--model", str(write_tiny_model(folder / "model"))


def test_every_head_has_a_row_for_each_direction(given: tuple[str, ...]) -> None:
    found = rows("patch", *given)
    assert {(row["place"], row["direction"]) for row in found} == {
        (f"a{layer}.h{head}", direction)
        for layer in (0, 1)
        for head in (0, 1)
        for direction in ("noising", "denoising")
    }
    assert set(found[0]) == {"place", "direction", "change", "deviation", "ratio_of_means", "mean_of_ratios"}
    assert len(rows("patch", *given, "--top", "1")) == 2
    assert "logit-difference, mean over 3 pairs: clean" in run("patch", *given).stderr


def test_the_stream_of_all_positions_is_the_full_effect_in_rows_of_pairs(given: tuple[str, ...]) -> None:
    found = rows("patch", *given, "--site", "residual-post", "--direction", "denoising", "--per-pair")
    assert len(found) == 2 * 3
    assert all(row["share"] == pytest.approx(1.0, abs=1e-4) for row in found)
    assert all(row["patched"] - row["corrupted"] == pytest.approx(row["change"], abs=1e-5) for row in found)


@pytest.mark.parametrize(
    "options",
    [
        ("--method", "attribution", "--site", "queries", "--positions", "each"),
        ("--method", "path", "--receiver", "a1.h0<q>", "--sender", "a0.h0,m0", "--sender", "input", "--recompute-mlps"),
        ("--method", "causal-tracing", "--site", "mlps", "--window", "2", "--samples", "2", "--noise-at", "1,-1"),
        ("--method", "knockout", "--component", "a0.h1,a1.h1", "--component", "m0", "--mean-by-position"),
        ("--site", "patterns", "--metric", "probability-difference", "--dtype", "float64"),
    ],
)
def test_every_method_draws_what_it_finds(options: tuple[str, ...], given: tuple[str, ...], tmp_path: Path) -> None:
    picture = tmp_path / "map.png"
    assert rows("patch", *given, *options, "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_knockouts_take_their_means_from_a_file(given: tuple[str, ...], tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("the eta of theta is\nthe iota\n")
    knockout = ("patch", *given, "--method", "knockout", "--site", "mlps")
    assert rows(*knockout) != rows(*knockout, "--mean-over", str(prompts))
    assert rows(*knockout) == rows(*knockout, "--mean-over", given[0])
    (tmp_path / "bad.jsonl").write_text("{}\n")
    assert "bad.jsonl line 1" in refusal(*knockout, "--mean-over", str(tmp_path / "bad.jsonl"))


def test_pairs_are_checked_for_symmetric_replacement(given: tuple[str, ...]) -> None:
    found = rows("patch", *given, "--check-pairs")
    assert [row["symmetric"] for row in found] == [True, True, True]
    assert [row["differing"] for row in found] == ["2", "2", "2"]


def test_what_is_stored_is_found_once(given: tuple[str, ...], settings: Settings, database: Driver) -> None:
    patch = ("patch", *given, "--method", "path", "--receiver", "a1.h0<k>", "--store")
    assert "8 of 8 interventions were new" in run(*patch).stderr
    assert "0 of 8 interventions were new" in run(*patch).stderr
    (found,) = database.execute_query(
        "MATCH (u:Head)<-[:ON]-(i:Intervention {direction: 'noising'})-[r:REACHES {port: 'k'}]->(v:Head) "
        "WHERE u.name = 'L00/head/1' RETURN i.method AS method, v.name AS reached, i.effect AS effect, i.pairs AS pairs"
    ).records
    shown = [row for row in rows(*patch[:-1]) if row["place"].startswith("a0.h1") and row["direction"] == "noising"]
    assert (found["method"], found["reached"], found["pairs"]) == ("path-patching", "L01/head/0", 3)
    assert found["effect"] == pytest.approx(shown[0]["change"])
    run("patch", *given, "--method", "knockout", "--store")
    run("patch", *given, "--site", "residual", "--positions", "each", "--store")
    streams = "MATCH (i:Intervention {site: 'residual'}) RETURN count(i) AS n, sum(COUNT {(i)-[:ON]->()}) AS units"
    (row,) = database.execute_query(streams).records
    assert (row["n"], row["units"]) == (2 * 6 * 2, 0)


def test_a_circuit_is_chosen_by_acdc_or_by_scores(given: tuple[str, ...], tmp_path: Path) -> None:
    from circuitbase.tracing.components.component_graph import ComponentGraph

    graph = ComponentGraph(n_layers=2, n_heads=2)
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({name: [float(n), 0.0, -1.0] for n, name in enumerate(graph.edge_names())}))
    circuit = ("component-circuit", *given)
    scored = (*circuit, "--scores", str(scores))
    (whole,) = rows(*scored, "--top", str(graph.n_edges))
    assert (whole["edges"], whole["live"]) == (graph.n_edges, graph.n_edges)
    assert whole["m_circuit"] == pytest.approx(whole["m_model"], abs=1e-5)
    (half,) = rows(*scored, "--threshold", str((graph.n_edges / 2 - 1) / 3), "--ablation", "mean")
    assert 0 < half["edges"] < graph.n_edges
    assert len(rows(*scored, "--greedy", "5", "--signed", "--edges")) == 5
    per_pair = rows(*circuit, "--acdc", "0.001", "--per-pair")
    assert [row["pair"] for row in per_pair] == [0, 1, 2]
    picture = tmp_path / "curve.png"
    curve = rows(*scored, "--curve", "--plot", str(picture))
    assert [row["ranking"] for row in curve] == ["signed"] * 10 + ["absolute"] * 10
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_hypothesis_is_scrubbed(given: tuple[str, ...], tmp_path: Path) -> None:
    hypothesis = tmp_path / "hypothesis.json"
    hypothesis.write_text(json.dumps({"output": {"inputs": [{"node": "m1", "matters": [2]}]}}))
    result = run("scrub", str(hypothesis), *given, "--samples", "4")
    metric, loss = (json.loads(line) for line in result.stdout.splitlines())
    assert (metric["what"], loss["what"]) == ("logit-difference", "loss")
    assert "m1: 2 matters; 1.67 of 3 prompts agree" in result.stderr
    assert rows("scrub", str(hypothesis), *given, "--samples", "4") == [metric, loss]
    assert rows("scrub", str(hypothesis), *given, "--samples", "4", "--seed", "1") != [metric, loss]


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("patch", "PAIRS", "--window", "3"), "the window must be 1 to 2"),
    (("patch", "PAIRS", "--metric", "accuracy"), "the metric must be one of logit-difference"),
    (("patch", "PAIRS", "--mean-over", "x.txt"), "the method is activation"),
    (("patch", "PAIRS", "--noise", "1"), "noise does nothing for activation"),
    (("patch", "PAIRS", "--method", "causal-tracing", "--noise-at", "two"), "positions by commas"),
    (("patch", "PAIRS", "--method", "path", "--receiver", "a9.h0<q>"), "got 'a9.h0<q>'"),
    (("component-circuit", "PAIRS"), "give one of --top, --threshold, --greedy, --acdc, or --curve, got none"),
    (("component-circuit", "PAIRS", "--top", "3"), "--top needs --scores"),
    (("component-circuit", "PAIRS", "--acdc", "1", "--scores", "s.json"), "finds its own edges"),
    (("component-circuit", "PAIRS", "--acdc", "1", "--signed"), "--signed ranks scores"),
    (("component-circuit", "PAIRS", "--acdc", "1", "--plot", "p.png"), "--plot draws the curve"),
    (("component-circuit", "PAIRS", "--curve", "--top", "3"), "--curve takes --scores"),
    (("component-circuit", "PAIRS", "--acdc", "1", "--mean-over", "x.txt"), "the ablation is patching"),
    (("scrub", "missing.json", "PAIRS"), "missing.json cannot be read"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=lambda value: value if isinstance(value, str) else None)
def test_what_cannot_be_done_is_said_in_a_sentence(
    arguments: tuple[str, ...], sentence: str, given: tuple[str, ...]
) -> None:
    pairs, *model = given
    assert sentence in refusal(*[pairs if argument == "PAIRS" else argument for argument in arguments], *model)


def test_help_loads_no_torch() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from circuitbase.cli.main import main\n"
        "try: main(['patch', '--help'])\n"
        "except SystemExit: assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0
