"""The model of kept edges: all of them are the model, none the other run."""

from pathlib import Path

import pytest
import torch

from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.writes import component_writes
from circuitbase.tracing.models import load_model
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model


@pytest.mark.parametrize("architecture", PECULIAR)
def test_all_edges_are_the_model_and_none_the_other_run(architecture: str, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", architecture=architecture)
    model = component_model(load_model(tmp_path / "model", dtype="float64", device="cpu"))
    generator = torch.Generator().manual_seed(0)
    clean, corrupted = (model.embedded(torch.randint(2, 26, (2, 7), generator=generator)) for _ in range(2))
    read_at = torch.tensor([6, 4])
    here, there = (component_writes(model, each, read_at=read_at) for each in (clean, corrupted))
    edges = torch.from_numpy(model.graph.edges).double()
    everything = edge_run(model, clean, others=there.sources, kept=edges, read_at=read_at)
    nothing = edge_run(model, clean, others=there.sources, kept=torch.zeros_like(edges), read_at=read_at)
    torch.testing.assert_close(everything, here.logits)
    torch.testing.assert_close(nothing, there.logits)


def test_names_are_those_of_edges_in_order(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", n_layers=2, n_heads=2)
    graph = component_model(load_model(tmp_path / "model", dtype="float32", device="cpu")).graph
    names = list(graph.edge_names())
    assert len(names) == len(set(names)) == graph.n_edges
    assert names[:3] == ["input->a0.h0<q>", "input->a0.h1<q>", "input->a0.h0<k>"]
    assert names[-1] == "m1->logits"
    assert all(graph.edges[graph.edge(name)] for name in names)
    with pytest.raises(KeyError):
        graph.edge("m1->a0.h0<q>")


def test_gpt2_small_has_its_edges() -> None:
    from circuitbase.tracing.components.component_graph import ComponentGraph

    graph = ComponentGraph(n_layers=12, n_heads=12)
    assert (graph.n_edges, graph.n_sources + 1) == (32_491, 158)
