"""Exact patching is the model with one edge cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.components.metrics import logit_difference
from circuitbase.tracing.components.writes import component_writes
from tests.tiny_configs import PECULIAR
from tests.tracing.components.random_pairs import random_pairs, tiny

FURTHER = [("GPTNeoXForCausalLM", {"settings": {"use_parallel_residual": False}})]
CASES: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in PECULIAR), *FURTHER]


@pytest.mark.parametrize(("architecture", "sizes"), CASES)
def test_a_score_is_what_cutting_the_edge_alone_takes_away(
    architecture: str, sizes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("circuitbase.tracing.components.exact.SEQUENCES_AT_ONCE", 10)
    model, pairs = tiny(tmp_path, architecture, **sizes), random_pairs((5, 4))
    found = attribute(model, pairs, AttributionOptions("exact"))
    graph = model.graph
    edges = np.argwhere(graph.edges)
    for number, pair in enumerate(pairs):
        (batch,) = pair_batches([pair], batch_size=1, causal=True, device=torch.device("cpu"))
        others = component_writes(model, model.embedded(batch.corrupted)).sources
        kept = torch.from_numpy(graph.edges).double().repeat(1 + len(edges), 1, 1)
        kept[torch.arange(1, 1 + len(edges)), edges[:, 0], edges[:, 1]] = 0
        embedding = model.embedded(batch.clean.expand(len(kept), -1))
        logits = edge_run(
            model,
            embedding,
            others=others.expand(len(kept), -1, -1, -1),
            kept=kept,
            read_at=batch.read_at.expand(len(kept)),
        )
        metric = logit_difference(logits, logits, [pair] * len(kept))
        expected = (metric[0] - metric[1:]).detach().numpy()
        assert np.abs(found.scores[number][graph.edges] - expected).max() <= 1e-10 * np.abs(expected).max()
