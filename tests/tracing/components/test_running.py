"""A model by its components gives the logits of the model itself."""

from pathlib import Path

import pytest
import torch

from circuitbase.errors import ModelError
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.models import load_model
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model

FURTHER = {
    "sequential": ("GPTNeoXForCausalLM", {"use_parallel_residual": False}),
    "inverse-layer scale": ("GPT2LMHeadModel", {"scale_attn_by_inverse_layer_idx": True}),
    "many groups": ("LlamaForCausalLM", {"num_key_value_heads": 4}),
}
CASES = {**{name: (name, {}) for name in PECULIAR}, **FURTHER}


@pytest.mark.parametrize("case", CASES)
def test_components_give_the_models_logits(case: str, tmp_path: Path) -> None:
    architecture, settings = CASES[case]
    write_tiny_model(tmp_path / "model", architecture=architecture, n_layers=3, scale=2.0, settings=settings)
    model = load_model(tmp_path / "model", dtype="float64", device="cpu")
    tokens = torch.randint(2, 26, (3, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.module(input_ids=tokens, use_cache=False).logits
        components = component_model(model)
        found = run(components, components.embedded(tokens).stream)
        at_two = run(components, components.embedded(tokens).stream, read_at=torch.tensor([2, 8, 0]))
    # transformers turns and normalises scores in single precision whatever the dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * float(expected.abs().max()))
    torch.testing.assert_close(at_two, found[torch.arange(3), torch.tensor([2, 8, 0])])


@pytest.mark.parametrize("architecture", PECULIAR)
def test_writes_of_components_add_up_to_the_stream(architecture: str, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", architecture=architecture)
    components = component_model(load_model(tmp_path / "model", dtype="float64", device="cpu"))
    tokens = torch.randint(2, 26, (2, 7), generator=torch.Generator().manual_seed(0))
    embedding = components.embedded(tokens)
    added, final = [embedding.stream], []

    def kept(site: Site, layer: int, x: torch.Tensor) -> torch.Tensor:
        if site == Site.MIXED:
            writes = components.attention[layer].head_writes(x)
            added.append(writes.heads.sum(2) + writes.constant)
        elif site == Site.MLP:
            added.append(x)
        elif site == Site.LOGITS_INPUT:
            final.append(x)
        return x

    with torch.no_grad():
        run(components, embedding.stream, edit=kept)
    torch.testing.assert_close(sum(added), final[0])


def test_a_model_in_half_precision_is_traced_in_single(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", architecture="Gemma2ForCausalLM")
    whole, half = (load_model(tmp_path / "model", dtype=dtype, device="cpu") for dtype in ("float32", "bfloat16"))
    tokens = torch.randint(2, 26, (1, 6), generator=torch.Generator().manual_seed(0))
    found = [component_model(model) for model in (whole, half)]
    logits = [run(model, model.embedded(tokens).stream) for model in found]
    assert logits[1].dtype == torch.float32
    torch.testing.assert_close(logits[1], logits[0], rtol=0.1, atol=0.1)


def test_a_model_on_several_devices_is_refused(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model")
    model = load_model(tmp_path / "model", dtype="float32", device="cpu")
    model.module.lm_head.to("meta")  # type: ignore[operator]
    with pytest.raises(ModelError, match="must be on one device to be traced by its components, and this one"):
        component_model(model)
