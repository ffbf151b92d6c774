"""What components add to a logit adds up to the model's own, on every architecture."""

from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.lens.attention_pattern import attention_patterns
from circuitbase.tracing.lens.logit_attribution import logit_attribution
from circuitbase.tracing.lens.logit_lens import logit_lens
from circuitbase.tracing.models import load_model
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model

TOKENS = torch.tensor([3, 5, 9, 4, 28, 12, 7])


def loaded(folder: Path, architecture: str = "GPT2LMHeadModel", *, dtype: DType = "float64") -> ComponentModel:
    write_tiny_model(folder / "model", architecture=architecture, n_layers=3, scale=2.0)
    return component_model(load_model(folder / "model", dtype=dtype))


def logits(model: ComponentModel) -> np.ndarray:
    found = run(model, model.embedded(TOKENS[None]).stream)[0].numpy()
    return found if model.logit_cap is None else model.logit_cap * np.arctanh(found / model.logit_cap)


@pytest.mark.parametrize("architecture", PECULIAR)
def test_effects_and_biases_add_up_to_the_logit(architecture: str, tmp_path: Path) -> None:
    model = loaded(tmp_path, architecture)
    own = logits(model)
    for position, place in ((-1, 6), (2, 2)):
        alone = logit_attribution(model, TOKENS, answer=8, position=position)
        against = logit_attribution(model, TOKENS, answer=8, distractor=11, position=position)
        assert alone.logit == pytest.approx(own[place, 8] - own[place].mean(), rel=1e-7)
        assert against.logit == pytest.approx(own[place, 8] - own[place, 11], rel=1e-7)
        for found in (alone, against):
            size = np.abs(found.effect).sum() + abs(found.bias)
            assert abs(found.effect.sum() + found.bias - found.logit) <= 1e-10 * size
            np.testing.assert_allclose(found.by_position.sum(1), found.effect, rtol=0, atol=1e-10 * size)
            assert not found.by_position[:, place + 1 :].any()


def test_a_head_moves_what_it_looks_at(tmp_path: Path) -> None:
    model = loaded(tmp_path)
    found = logit_attribution(model, TOKENS, answer=8)
    heads = [source for source in range(len(found.sources)) if ".h" in found.sources[source]]
    others = [source for source in range(len(found.sources)) if source not in heads]
    assert (np.abs(found.by_position[heads]) > 0).all()
    assert not found.by_position[others, :-1].any()


def test_in_single_precision_effects_add_up_too(tmp_path: Path) -> None:
    found = logit_attribution(loaded(tmp_path, dtype="float32"), TOKENS, answer=8, distractor=3)
    assert found.effect.sum() + found.bias == pytest.approx(found.logit, abs=1e-6)


def test_a_position_or_token_that_is_not_there_is_refused(tmp_path: Path) -> None:
    model = loaded(tmp_path)
    with pytest.raises(InputError, match="the position must be -7 to 6 on this prompt, got 7"):
        logit_attribution(model, TOKENS, answer=8, position=7)
    with pytest.raises(InputError, match="a token must be 0 to 28 in this model, got 29"):
        logit_attribution(model, TOKENS, answer=29)


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Gemma2ForCausalLM"])
def test_the_lens_ends_in_the_models_own_answer_and_begins_with_the_embedding(
    architecture: str, tmp_path: Path
) -> None:
    model = loaded(tmp_path, architecture)
    found = logit_lens(model, TOKENS, top=4)
    own = torch.softmax(run(model, model.embedded(TOKENS[None]).stream)[0], dim=-1)
    first = torch.softmax(model.logits(model.embedded(TOKENS[None]).stream[0]), dim=-1)
    assert found.token.shape == (4, 7, 4)
    for layer, expected in ((3, own), (0, first)):
        values, tokens = torch.topk(expected, 4)
        np.testing.assert_array_equal(found.token[layer], tokens)
        np.testing.assert_allclose(found.probability[layer], values)


def test_patterns_are_the_models(tmp_path: Path) -> None:
    model = loaded(tmp_path, "MistralForCausalLM")
    seen = []

    def kept(site: Site, _layer: int, tensor: torch.Tensor) -> torch.Tensor:
        if site == Site.PATTERN:
            seen.append(tensor[0])
        return tensor

    run(model, model.embedded(TOKENS[None]).stream, edit=kept)
    first, second = attention_patterns(model, TOKENS, [(2, 1), (0, 3)])
    np.testing.assert_array_equal(first, seen[2][1])
    np.testing.assert_array_equal(second, seen[0][3])
    with pytest.raises(InputError, match="the head must be 0 to 3, got 4"):
        attention_patterns(model, TOKENS, [(0, 4)])
