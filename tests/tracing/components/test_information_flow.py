"""Information-flow routes against their definition, position by position."""

from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.components.writes import component_writes
from tests.tracing.components.random_pairs import VARIED, random_pairs, tiny


@pytest.mark.parametrize("architecture", VARIED)
def test_scores_are_shares_of_proximity(architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("circuitbase.tracing.components.information_flow.NUMBERS_AT_ONCE", 300)
    model, pairs = tiny(tmp_path, architecture), random_pairs((6, 4))
    found = attribute(model, pairs, AttributionOptions("information-flow"))
    assert found.clean is None and found.ablated is None and found.gap is None
    graph = model.graph
    for number, pair in enumerate(pairs):
        embedding = model.embedded(torch.tensor([pair.clean]))
        sources = component_writes(model, embedding).sources[0].numpy()
        streams: dict[tuple[Site, int], np.ndarray] = {}

        def kept(site: Site, layer: int, x: torch.Tensor, streams=streams) -> torch.Tensor:
            streams[site, layer] = x[0].detach().numpy()
            return x

        run(model, embedding.stream, edit=kept)
        for receiver, name in enumerate(graph.receiver_names):
            layer = 0 if name == "logits" else int(name[1:].partition(".")[0])
            site = Site.MLP_INPUT if name[0] == "m" else Site.RESID_PRE
            read = streams[Site.LOGITS_INPUT, model.n_layers] if name == "logits" else streams[site, layer]
            shares = []
            for position, x in enumerate(read):
                near = [
                    max(0.0, np.abs(x).sum() - np.abs(x - write).sum())
                    for write in sources[position, : graph.reads[receiver]]
                ]
                shares.append([each / sum(near) if sum(near) else 0.0 for each in near])
            expected = np.array(shares[-1]) if name == "logits" else np.array(shares).mean(0)
            scores = found.scores[number, :, receiver]
            np.testing.assert_allclose(scores[: len(expected)], expected, atol=1e-12)
            assert (scores[len(expected) :] == 0).all()
