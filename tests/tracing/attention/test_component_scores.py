"""Scores by pairs of components add up to the model's own scores."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.attention.component_scores import HeadLook, head_look
from circuitbase.tracing.attention.contrast import attention_change
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.models import load_model
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model

TOKENS = torch.tensor([3, 5, 9, 4, 28, 12, 7])
OTHER = torch.tensor([3, 5, 11, 4, 20, 12, 7])


def loaded(folder: Path, architecture: str, *, dtype: DType = "float64") -> ComponentModel:
    if not (folder / "model").exists():
        write_tiny_model(folder / "model", architecture=architecture, n_layers=3, scale=2.0)
    return component_model(load_model(folder / "model", dtype=dtype))


def site(model: ComponentModel, wanted: Site, layer: int) -> Tensor:
    found = []

    def kept(here: Site, at: int, x: Tensor) -> Tensor:
        if (here, at) == (wanted, layer):
            found.append(x)
        return x

    run(model, model.embedded(TOKENS[None]).stream, edit=kept)
    return found[0]


def sums_of_parts(look: HeadLook) -> np.ndarray:
    return np.array([look.parts(place).score for place in range(len(look.keys))])


@pytest.mark.parametrize("architecture", PECULIAR)
def test_pairs_and_biases_add_up_to_the_score(architecture: str, tmp_path: Path) -> None:
    model = loaded(tmp_path, architecture)
    cap = model.attention[2].scoring.soft_cap
    for head, query in ((0, 6), (1, 4)):
        look = head_look(model, TOKENS, layer=2, head=head, query=query)
        expected = site(model, Site.SCORES, 2)[0, head, query, look.keys].numpy()
        capped = look.scores if cap is None else cap * np.tanh(look.scores / cap)
        np.testing.assert_allclose(capped, expected, rtol=1e-10)
        np.testing.assert_allclose(look.weights, site(model, Site.PATTERN, 2)[0, head, query, look.keys], rtol=1e-10)
        np.testing.assert_allclose(sums_of_parts(look), look.scores, rtol=1e-10)
        hidden = np.setdiff1d(np.arange(len(TOKENS)), look.keys)
        assert torch.isinf(site(model, Site.SCORES, 2)[0, head, query, hidden]).all()


@pytest.mark.parametrize("architecture", PECULIAR)
def test_in_single_precision_they_still_add_up(architecture: str, tmp_path: Path) -> None:
    model = loaded(tmp_path, architecture, dtype="float32")
    look = head_look(model, TOKENS, layer=1, head=1, query=6)
    exact = head_look(loaded(tmp_path, architecture), TOKENS, layer=1, head=1, query=6)
    size = np.abs(exact.scores).max()
    assert np.abs(sums_of_parts(look) - look.scores).max() <= 1e-4 * size
    assert np.abs(look.scores - exact.scores).max() <= 1e-4 * size


def test_a_pair_is_what_its_two_nodes_make(tmp_path: Path) -> None:
    model = loaded(tmp_path, "GPT2LMHeadModel")
    look = head_look(model, TOKENS, layer=1, head=0, query=5)
    parts = look.parts(2)
    n_sources = model.graph.before_heads(1)
    assert parts.pairs.shape == (n_sources, n_sources)
    asks, offers = look.query_side.by_node[2], look.key_sides[2].by_node[1]
    assert float(parts.pairs[2, 1]) == pytest.approx(look.scale * float(asks @ offers))
    assert float(parts.query_with_bias[2]) == pytest.approx(look.scale * float(asks @ look.key_sides[2].bias))
    assert parts.bias_effect != 0


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Gemma2ForCausalLM", "MistralForCausalLM"])
def test_the_change_against_a_contrast_prompt_is_split_by_key(architecture: str, tmp_path: Path) -> None:
    model = loaded(tmp_path, architecture)
    look, contrast = (head_look(model, tokens, layer=2, head=1, query=6) for tokens in (TOKENS, OTHER))
    every = np.arange(len(look.keys))
    change = attention_change(look, contrast, of=every)
    split = change.by_query + change.by_key + change.by_both
    np.testing.assert_allclose(split, look.scores - contrast.scores, rtol=0, atol=1e-10)
    np.testing.assert_allclose(change.part.sum(1), look.weights - contrast.weights, rtol=0, atol=1e-8)
    assert change.gap <= 1e-8
    assert np.abs(change.by_both).max() > 0.01


def test_a_contrast_prompt_of_another_length_is_refused(tmp_path: Path) -> None:
    model = loaded(tmp_path, "GPT2LMHeadModel")
    look = head_look(model, TOKENS, layer=1, head=0, query=6)
    contrast = head_look(model, OTHER[:5], layer=1, head=0, query=4)
    with pytest.raises(InputError, match="give prompts of equal length"):
        attention_change(look, contrast, of=np.array([0]))


def test_a_place_that_is_not_there_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    model = loaded(tmp_path, "GPT2LMHeadModel")
    with pytest.raises(InputError, match=r"the layer must be 0 to 2, got 3; the head must be 0 to 1, got 2; .*got 7"):
        head_look(model, TOKENS, layer=3, head=2, query=7)
