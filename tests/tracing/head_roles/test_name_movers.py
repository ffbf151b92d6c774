from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.norms import normed
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.components.writes import component_writes
from circuitbase.tracing.head_roles.answer_prompts import AnswerPrompt
from circuitbase.tracing.head_roles.name_movers import name_movers
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.roles import BOUNDS, Role
from circuitbase.tracing.head_roles.s_inhibition import s_inhibition
from circuitbase.tracing.models import load_model
from tests.tiny_models import write_tiny_model

PROMPT = AnswerPrompt((0, 4, 5, 9, 5), (4,), (5,), corrupted=(0, 4, 5, 9, 4))
ARCHITECTURES = ("GPT2LMHeadModel", "Qwen3ForCausalLM", "Gemma2ForCausalLM", "GPTNeoXForCausalLM")


def tiny(folder: Path, architecture: str) -> ComponentModel:
    write_tiny_model(folder / "model", architecture=architecture, n_layers=3, scale=2.0)
    return component_model(load_model(folder / "model", dtype="float64", device="cpu"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_direct_effects_are_the_heads_parts_of_the_logit_difference(architecture: str, tmp_path: Path) -> None:
    model = tiny(tmp_path, architecture)
    found = name_movers(model, [PROMPT]).parts["direct_effect"]
    writes = component_writes(model, model.embedded(torch.tensor([PROMPT.tokens])))
    final = writes.sources[0, -1].sum(0) + writes.constant[-1, 0, -1]

    def difference(x: torch.Tensor) -> torch.Tensor:
        logits = normed(model.final_norm, x) @ model.W_U.T
        return logits[4] - logits[5]

    # along a write the norm's denominator changes too, so that part of the derivative is taken out
    gradient = torch.autograd.functional.jacobian(difference, final)
    for layer in range(3):
        for head in range(model.n_heads):
            write = writes.sources[0, -1, model.graph.head(layer, head)]
            assert model.final_norm is not None
            base = final - final.mean() if model.final_norm.centred else final
            share = (write - write.mean() if model.final_norm.centred else write) @ base / (base @ base)
            bias = model.final_norm.bias if model.final_norm.bias is not None else torch.zeros_like(final)
            scaled = difference(final) - bias @ (model.W_U[4] - model.W_U[5])
            expected = float(gradient @ write + share * scaled)
            assert found[layer, head] == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_share_of_a_head_is_that_of_path_patching_it_in_a_run(architecture: str, tmp_path: Path) -> None:
    model = tiny(tmp_path, architecture)
    movers = name_movers(model, [PROMPT])
    every = HeadRoleOptions(bounds={**BOUNDS, Role.NAME_MOVER: -1.0}, smallest_change=0.0)
    found = s_inhibition(model, [PROMPT], movers, every)
    clean, corrupted = (
        component_writes(model, model.embedded(torch.tensor([tokens]))) for tokens in (PROMPT.tokens, PROMPT.corrupted)
    )
    stream = model.embedded(torch.tensor([PROMPT.tokens])).stream

    def looked(sources: list[int] | None) -> np.ndarray:
        """Returns each head's attention to the answer with these sources, or all, corrupted in queries alone."""
        patterns = []

        def edit(site: Site, layer: int, x: torch.Tensor) -> torch.Tensor:
            if site == Site.QUERY_INPUT:
                before = model.graph.before_heads(layer)
                chosen = [s for s in (range(before) if sources is None else sources) if s < before]
                change = (corrupted.sources - clean.sources)[:, -1, chosen].sum(1)
                if sources is None:
                    change = change + (corrupted.constant - clean.constant)[layer, :, -1]
                return torch.cat((x[:, :-1], x[:, -1:] + change[:, None]), dim=1)
            if site == Site.PATTERN:
                patterns.append(x[0, :, -1, 1])
            # what the edit does to writes must not reach later layers
            if site == Site.MIXED:
                return kept[layer]
            return x

        with torch.no_grad():
            run(model, stream, edit=edit)
        return torch.stack(patterns).numpy()

    kept: dict[int, torch.Tensor] = {}

    def keep(site: Site, layer: int, x: torch.Tensor) -> torch.Tensor:
        if site == Site.MIXED:
            kept[layer] = x
        return x

    with torch.no_grad():
        run(model, stream, edit=keep)
    weights = movers.score
    before = looked([])
    whole = (weights * (before - looked(None))).sum()
    expected = np.array(
        [
            [
                (weights * (before - looked([model.graph.head(layer, head)]))).sum() / whole
                for head in range(model.n_heads)
            ]
            for layer in range(3)
        ]
    )
    np.testing.assert_allclose(found.score, expected, rtol=1e-5, atol=1e-7)
    assert np.abs(expected).max() > 1e-3
    assert not found.score[2].any()


def test_a_head_that_lowers_the_answer_is_no_name_mover(tmp_path: Path) -> None:
    found = name_movers(tiny(tmp_path, "GPT2LMHeadModel"), [PROMPT])
    lowers = found.parts["direct_effect"] <= 0
    assert lowers.any() and not found.score[lowers].any()
    assert found.score.max() <= 1


def test_prompts_of_several_lengths_count_alike(tmp_path: Path) -> None:
    model = tiny(tmp_path, "GPT2LMHeadModel")
    other = AnswerPrompt((0, 7, 9, 8), (7,))
    both, one, two = (name_movers(model, prompts) for prompts in ([PROMPT, other], [PROMPT], [other]))
    np.testing.assert_allclose(
        both.parts["direct_effect"], (one.parts["direct_effect"] + two.parts["direct_effect"]) / 2, atol=1e-6
    )
