from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.head_roles.copying import copying, positive_share
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.ov_circuit import ov_circuits, read_tokens
from circuitbase.tracing.models import load_model
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model

TOKENS = torch.arange(2, 26)


@pytest.mark.parametrize("architecture", PECULIAR)
def test_the_small_matrix_has_the_eigenvalues_of_the_one_between_tokens(architecture: str, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", architecture=architecture)
    model = component_model(load_model(tmp_path / "model", dtype="float64", device="cpu"))
    read = read_tokens(model, TOKENS, through_first_mlp=True)
    for layer in range(model.n_layers):
        circuits = ov_circuits(model, read, layer=layer)
        whole = circuits.read @ circuits.W_V @ circuits.W_O @ circuits.directions.T
        eigenvalues = torch.linalg.eigvals(whole)
        expected = (eigenvalues.real.sum(-1) / eigenvalues.abs().sum(-1)).numpy()
        np.testing.assert_allclose(positive_share(circuits), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "LlamaForCausalLM", "Gemma3ForCausalLM"])
def test_a_copying_score_does_not_see_norms_denominators_and_a_common_shift(architecture: str, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", architecture=architecture)
    model = component_model(load_model(tmp_path / "model", dtype="float64", device="cpu"))
    score = copying(model, TOKENS, HeadRoleOptions()).score
    assert score.shape == (model.n_layers, model.n_heads)
    assert (np.abs(score) <= 1).all()
    shifted = replace(model, W_U=3 * (model.W_U + torch.ones(1, model.W_U.shape[1], dtype=torch.float64)))
    np.testing.assert_allclose(copying(shifted, TOKENS, HeadRoleOptions()).score, score, rtol=1e-8)


def test_what_a_head_reads_and_writes_is_what_it_does_when_it_sees_one_token(tmp_path: Path) -> None:
    """On prompts of one token a head of the first layer looks at it alone; without biases its write is OV."""
    write_tiny_model(tmp_path / "model", architecture="LlamaForCausalLM", settings={"attention_bias": False})
    model = component_model(load_model(tmp_path / "model", dtype="float64", device="cpu"))
    seen: list[torch.Tensor] = []

    def kept(site: Site, layer: int, x: torch.Tensor) -> torch.Tensor:
        if site == Site.MIXED and layer == 0:
            seen.append(model.attention[0].head_writes(x).heads[:, 0])
        return x

    with torch.no_grad():
        run(model, model.embedded(TOKENS[:, None]).stream, edit=kept)
    circuits = ov_circuits(model, read_tokens(model, TOKENS, through_first_mlp=True), layer=0)
    torch.testing.assert_close((circuits.read @ circuits.W_V @ circuits.W_O).transpose(0, 1), seen[0])


def test_later_layers_read_tokens_with_what_the_first_mlp_writes_for_each_alone(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model")
    model = component_model(load_model(tmp_path / "model", dtype="float64", device="cpu"))
    read = read_tokens(model, TOKENS, through_first_mlp=True)
    alone = model.embedded(TOKENS[:, None]).tokens
    torch.testing.assert_close(read.first, alone[:, 0])
    torch.testing.assert_close(read.later, (alone + model.mlps[0].written(alone))[:, 0])
    bare = read_tokens(model, TOKENS, through_first_mlp=False)
    torch.testing.assert_close(bare.later, bare.first)
