import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from circuitbase.tracing.components.eap_ig_files import read_eap_ig
from tests.cli.running import refusal, rows, run
from tests.tiny_models import write_tiny_model

PAIRS = [
    {"clean": "the alpha of beta", "corrupted": "the gamma of beta", "correct": "delta", "wrong": "eta"},
    {"clean": "the mu of", "corrupted": "the nu of", "correct": ["pi", "rho"], "wrong": "eta"},
]
METHODS = ("eap", "eap-ig-inputs", "eap-ig-activations", "clean-corrupted", "information-flow", "exact")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("attribute")
    model = write_tiny_model(folder / "model")
    (folder / "pairs.json").write_text(json.dumps({"pairs": PAIRS}))
    return "attribute", str(folder / "pairs.json"), "--model", str(model)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_prints_its_strongest_edges(method: str, given: tuple[str, ...]) -> None:
    (found,) = rows(*given, "--method", method, "--top", "3")
    assert (found["pairs"], found["edges"], found["method"]) == (2, 46, method)
    assert len(found["strongest_edges"]) == 3
    means = [abs(edge["mean"]) for edge in found["strongest_edges"]]
    assert means == sorted(means, reverse=True)
    assert (found["completeness_gap"] is not None) == (method == "eap-ig-inputs")
    assert (found.get("clean_metric") is None) == (method == "information-flow")


def test_a_table_shows_the_metric_the_gap_and_the_edges(given: tuple[str, ...]) -> None:
    shown = run(*given, "--table", "--top", "2", "--steps", "3", "--rule", "left").stdout
    for words in ("clean metric", "corrupted metric", "completeness gap", "Strongest edges", "same sign", "deviation"):
        assert words in shown
    assert "Strongest edges" not in run(*given, "--table", "--top", "0").stdout


def test_csv_is_every_edge(given: tuple[str, ...]) -> None:
    listed = list(csv.DictReader(io.StringIO(run(*given, "--method", "eap", "--csv").stdout)))
    assert len(listed) == len({row["edge"] for row in listed}) == 46
    assert list(listed[0]) == ["edge", "mean", "deviation", "same_sign"]


def test_scores_are_written_per_pair_and_as_eap_ig_does(given: tuple[str, ...], tmp_path: Path) -> None:
    out, graph = tmp_path / "scores.json", tmp_path / "graph.pt"
    result = run(*given, "--method", "exact", "--out", str(out), "--eap-ig", str(graph))
    assert f"wrote {out}\nwrote {graph}" in result.stderr
    scores = json.loads(out.read_text())
    assert {len(of_pairs) for of_pairs in scores.values()} == {2}
    strongest = json.loads(result.stdout)["strongest_edges"][0]
    assert np.mean(scores[strongest["edge"]]) == pytest.approx(strongest["mean"], rel=1e-5)
    found = read_eap_ig(graph)
    assert found.scores[found.graph.edge(strongest["edge"])] == pytest.approx(strongest["mean"], rel=1e-5)


def test_a_mean_is_over_the_pairs_or_the_set_that_is_named(given: tuple[str, ...], tmp_path: Path) -> None:
    others = tmp_path / "others.json"
    others.write_text(json.dumps({"pairs": [PAIRS[1]]}))
    (own,) = rows(*given, "--ablation", "mean", "--method", "eap")
    (named,) = rows(*given, "--ablation", "mean", "--method", "eap", "--mean-over", str(others))
    assert (own["mean_over"], named["mean_over"]) == ("the clean prompts", str(others))
    assert own["ablated_metric"] != named["ablated_metric"]
    assert "corrupted_metric" not in own


def test_a_metric_may_be_a_function_of_ones_own(given: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "metric.py").write_text("def margin(logits, clean_logits, pairs):\n    return logits[:, 3]\n")
    (found,) = rows(*given, "--method", "eap", "--metric", f"{tmp_path / 'metric.py'}:margin")
    assert found["metric"].endswith("metric.py:margin")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--method", "eap", "--steps", "3"), "steps does nothing for eap; leave it out"),
        (("--method", "exact", "--rule", "left"), "rule does nothing for exact; leave it out"),
        (("--method", "information-flow", "--metric", "kl"), "metric does nothing for information-flow"),
        (("--method", "information-flow", "--ablation", "mean"), "an ablation does nothing for it"),
        (("--method", "clean-corrupted", "--ablation", "zero"), "its ablation is patching"),
        (("--mean-over", "x.json"), "--mean-over names the set of a mean, so it does nothing without"),
        (("--metric", "accuracy"), "the metric must be one of logit-difference"),
        (("--eap-ig", "graph.txt"), "an EAP-IG graph is a .json or a .pt file"),
        (("--out", "nowhere/scores.json"), "nowhere/scores.json cannot be written, for its folder does not exist"),
        (("--ablation", "positional-mean"), "a positional mean needs prompts of one length, got 4 and 5 tokens"),
    ],
)
def test_what_does_nothing_or_cannot_be_done_is_refused(
    options: tuple[str, ...], sentence: str, given: tuple[str, ...]
) -> None:
    assert sentence in refusal(*given, *options)


def test_every_bad_pair_is_named_in_one_sentence(given: tuple[str, ...], tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"pairs": [PAIRS[0], PAIRS[0] | {"clean": "alpha"}, PAIRS[1] | {"wrong": "eta beta"}]}))
    found = refusal(given[0], str(bad), *given[2:])
    assert "pair 1: its prompts must have the same length, but have 2 and 5 tokens; pair 2: its wrong: 'eta be" in found
    bad.write_text(json.dumps({"pairs": [{key: PAIRS[0][key] for key in ("clean", "corrupted")}]}))
    assert "pair 0: it has no correct and wrong tokens, which logit-difference compares" in refusal(
        given[0], str(bad), *given[2:]
    )
