"""Head roles of every architecture that is traced."""

from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.head_roles.model_tokens import token_pool
from circuitbase.tracing.head_roles.of_model import model_head_roles, prompts_of_pairs
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.random_tokens import repeated_tokens
from circuitbase.tracing.head_roles.roles import Role
from circuitbase.tracing.models import TracedModel, load_model
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model

OPTIONS = HeadRoleOptions(periods=(3, 5), sequences=4, length=8, seeds=(0,), smallest_change=0.0)
PROMPTS = prompts_of_pairs([Pair((0, 4, 5, 9, 5), (0, 4, 5, 9, 4), (4,), (5,))])


def tiny(folder: Path, architecture: str, **further: object) -> TracedModel:
    write_tiny_model(folder / "model", architecture=architecture, scale=2.0, **further)
    return load_model(folder / "model")


@pytest.mark.parametrize("architecture", PECULIAR)
def test_every_architectures_heads_are_measured(architecture: str, tmp_path: Path) -> None:
    model = tiny(tmp_path, architecture)
    found = model_head_roles(model, prompts=PROMPTS, options=OPTIONS)
    for role in Role:
        score = found.scores[role].score
        assert score.shape == found.shape
        if role in (Role.SUCCESSOR, Role.S_INHIBITION):  # no ordered words, perhaps no name mover
            continue
        least = -1 if role == Role.COPYING else 0
        assert ((score >= least) & (score <= 1)).all()
    assert np.isnan(found.scores[Role.SUCCESSOR].score).all()


def test_attention_is_that_of_the_model_itself(tmp_path: Path) -> None:
    """The model's own patterns on the same sequences give the same score."""
    model = tiny(tmp_path, "LlamaForCausalLM")
    found = model_head_roles(model, options=OPTIONS).scores[Role.INDUCTION].parts["period_5"]
    tokens = repeated_tokens(token_pool(model.tokenizer, OPTIONS), sequences=4, period=5, seed=0)
    with torch.no_grad():
        patterns = model.module(input_ids=tokens, output_attentions=True, use_cache=False).attentions
    second = torch.arange(6, 11)
    expected = torch.stack([each[:, :, second, second - 4].mean((0, 2)) for each in patterns])
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_a_tokenizer_without_a_first_token_is_measured_too(tmp_path: Path) -> None:
    found = model_head_roles(tiny(tmp_path, "Qwen2ForCausalLM", bos=False), options=OPTIONS)
    assert (found.scores[Role.POSITIONAL].parts["attention_before"] == 0).all()


def test_weights_in_half_precision_are_measured(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", architecture="Qwen3ForCausalLM")
    full, half = (load_model(tmp_path / "model", dtype=dtype) for dtype in ("float32", "bfloat16"))
    of_full, of_half = (model_head_roles(model, options=OPTIONS).scores for model in (full, half))
    for role in (Role.INDUCTION, Role.COPYING):
        np.testing.assert_allclose(of_half[role].score, of_full[role].score, atol=0.05)
