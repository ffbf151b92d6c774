"""Scores as files: circuitbase's own, per pair, and EAP-IG's two."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.component_graph import ComponentGraph
from circuitbase.tracing.components.eap_ig_files import read_eap_ig, whole_graph, write_eap_ig
from circuitbase.tracing.components.edge_scores import EdgeScores
from circuitbase.tracing.components.score_files import read_scores, write_scores

GRAPH = ComponentGraph(2, 2)


def random_scores(graph: ComponentGraph = GRAPH, n_pairs: int = 3) -> EdgeScores:
    numbers = np.random.default_rng(0).normal(size=(n_pairs, graph.n_sources, graph.n_receivers))
    return EdgeScores(graph, AttributionOptions("eap"), numbers * graph.edges)


def test_scores_come_back_by_pair_and_edge(tmp_path: Path) -> None:
    found = random_scores()
    write_scores(found, tmp_path / "scores.json")
    np.testing.assert_array_equal(read_scores(tmp_path / "scores.json", GRAPH), found.scores)
    content = json.loads((tmp_path / "scores.json").read_text())
    assert list(content) == list(GRAPH.edge_names())
    source, receiver = GRAPH.edge("a0.h1->a1.h0<k>")
    assert content["a0.h1->a1.h0<k>"] == found.scores[:, source, receiver].tolist()


@pytest.mark.parametrize("graph", [GRAPH, ComponentGraph(2, 3, parallel=True)])
@pytest.mark.parametrize("suffix", [".json", ".pt"])
def test_eap_ig_files_come_back(suffix: str, graph: ComponentGraph, tmp_path: Path) -> None:
    path = tmp_path / f"graph{suffix}"
    scores = random_scores(graph).mean.astype(np.float32).astype(np.float64)
    write_eap_ig(whole_graph(graph, scores, d_model=16), path)
    found = read_eap_ig(path)
    assert (found.graph, found.d_model) == (graph, 16)
    np.testing.assert_array_equal(found.scores, scores)
    np.testing.assert_array_equal(found.edges_in_graph, graph.edges)
    assert found.nodes_in_graph.all()


def test_eap_ig_files_have_its_names_and_shapes(tmp_path: Path) -> None:
    for name in ("graph.json", "graph.pt"):
        write_eap_ig(whole_graph(GRAPH, random_scores().mean, d_model=16), tmp_path / name)
    by_name = json.loads((tmp_path / "graph.json").read_text())
    assert by_name["cfg"] == {"n_layers": 2, "n_heads": 2, "parallel_attn_mlp": False, "d_model": 16}
    assert list(by_name["nodes"]) == ["input", "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1", "logits"]
    assert all(set(edge) == {"score", "in_graph"} for edge in by_name["edges"].values())
    arrays = torch.load(tmp_path / "graph.pt", weights_only=True)
    assert arrays["edges_scores"].shape == arrays["edges_in_graph"].shape == (7, 15)
    assert arrays["dst_nodes"][:3] == ["a0.h0<q>", "a0.h1<q>", "a0.h0<k>"]
    assert set(arrays) == {"cfg", "src_nodes", "dst_nodes", "edges_scores", "edges_in_graph", "nodes_in_graph"}


def test_unscored_edges_and_what_is_out_of_the_circuit_are_read(tmp_path: Path) -> None:
    write_eap_ig(whole_graph(GRAPH, random_scores().mean, d_model=16), tmp_path / "graph.json")
    content = json.loads((tmp_path / "graph.json").read_text())
    content["edges"]["m0->logits"] = {"score": float("nan"), "in_graph": False}
    content["nodes"]["m0"]["in_graph"] = False
    (tmp_path / "graph.json").write_text(json.dumps(content))
    found = read_eap_ig(tmp_path / "graph.json")
    assert np.isnan(found.scores[GRAPH.edge("m0->logits")])
    assert not found.edges_in_graph[GRAPH.edge("m0->logits")]
    assert found.nodes_in_graph.tolist() == [True, True, True, False, True, True, True]


def test_scores_of_another_model_are_refused(tmp_path: Path) -> None:
    write_scores(random_scores(), tmp_path / "scores.json")
    with pytest.raises(InputError, match=r"should have exactly the model's 23 edges, but has a0.h0->a1.h1<k>"):
        read_scores(tmp_path / "scores.json", ComponentGraph(2, 1))
    content = json.loads((tmp_path / "scores.json").read_text())
    del content["m1->logits"]
    (tmp_path / "scores.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="but lacks m1->logits"):
        read_scores(tmp_path / "scores.json", GRAPH)
    content["m1->logits"] = [1.0]
    (tmp_path / "scores.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="one finite score per pair"):
        read_scores(tmp_path / "scores.json", GRAPH)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("graph.json", "{", "should hold JSON"),
        ("graph.json", "[]", "should hold a JSON object, got a list"),
        ("graph.json", "{}", "should hold EAP-IG's cfg, nodes and edges"),
        ("graph.json", '{"cfg": {}, "nodes": {}, "edges": {}}', "the cfg of .* should have n_layers"),
        ("graph.pt", "nothing", "should be a file of torch with numbers alone"),
        ("graph.txt", "", "an EAP-IG graph is a .json or a .pt file, got"),
    ],
)
def test_a_file_that_is_none_of_eap_ig_is_refused(name: str, content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_eap_ig(tmp_path / name)


def test_a_file_of_torch_with_other_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "graph.pt"
    torch.save({"edges": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="should hold cfg, edges_scores"):
        read_eap_ig(path)
    sizes: Any = {"n_layers": 2, "n_heads": 2, "parallel_attn_mlp": False, "d_model": 4}
    torch.save(
        {"cfg": sizes} | dict.fromkeys(("edges_scores", "edges_in_graph", "nodes_in_graph"), torch.zeros(2)), path
    )
    with pytest.raises(InputError, match=r"should have scores of \[7, 15\]"):
        read_eap_ig(path)


def test_summaries_over_pairs_are_those_of_the_numbers() -> None:
    scores = np.zeros((4, 7, 15))
    edge = GRAPH.edge("m0->logits")
    scores[:, edge[0], edge[1]] = [1, -2, 3, 2]
    scores[:, 0, 0] = -1.5
    found = EdgeScores(GRAPH, AttributionOptions("eap"), scores)
    assert (found.n_pairs, found.mean[edge], found.share_of_sign[edge]) == (4, 1.0, 0.75)
    assert found.deviation[edge] == pytest.approx(np.std([1, -2, 3, 2]))
    assert found.strongest(2).tolist() == [[0, 0], list(edge)]
    assert found.nodes[:, 3].tolist() == [1, -2, 3, 2]
