"""A small transformer by its components computes what the module computes."""

import pytest
import torch

from circuitbase.evaluation.edge_reference import plain_edges, plain_run
from circuitbase.evaluation.small_components import component_model
from circuitbase.evaluation.small_files import packaged_model, packaged_models
from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.components.writes import component_writes
from tests.evaluation.test_small_transformer import OTHERS, random_model

TOKENS = torch.tensor([[1, 2, 3, 3], [4, 0, 2, 6]])
CORRUPTED = torch.tensor([[2, 2, 5, 3], [0, 1, 1, 6]])


@pytest.mark.parametrize("case", OTHERS)
def test_components_give_the_modules_logits_and_writes(case: str) -> None:
    small = random_model(OTHERS[case])
    model = component_model(small)
    found = component_writes(model, model.embedded(TOKENS))
    plain = plain_run(small, TOKENS)
    torch.testing.assert_close(found.logits, small(TOKENS))
    torch.testing.assert_close(plain.logits, small(TOKENS))
    torch.testing.assert_close(found.sources, torch.stack([plain.writes[name] for name in model.graph.source_names], 2))


@pytest.mark.parametrize("case", OTHERS)
def test_one_edge_from_another_run_is_the_same_in_both(case: str) -> None:
    small = random_model(OTHERS[case])
    model = component_model(small)
    others = component_writes(model, model.embedded(CORRUPTED)).sources
    written = plain_run(small, CORRUPTED).writes
    edges = list(model.graph.edge_names())
    assert sorted(edges) == sorted(plain_edges(small.config))
    for edge in edges:
        kept = torch.from_numpy(model.graph.edges).double()
        kept[model.graph.edge(edge)] = 0.0
        logits = edge_run(model, model.embedded(TOKENS), others=others, kept=kept)
        torch.testing.assert_close(logits, plain_run(small, TOKENS, others=written, cut=(edge,)).logits)


@pytest.mark.parametrize("name", packaged_models())
def test_packaged_models_are_the_same_by_components(name: str) -> None:
    small = packaged_model(name, dtype=torch.float64).model
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, small.config.d_vocab, (2, small.config.n_positions), generator=generator)
    model = component_model(small)
    torch.testing.assert_close(component_writes(model, model.embedded(tokens)).logits, small(tokens))
