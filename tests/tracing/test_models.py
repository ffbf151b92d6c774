"""Loading a model: what is read, in which dtype, onto which device."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from circuitbase.errors import InputError, ModelError
from circuitbase.tracing import models
from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.models import load_model
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model

TOKENS = torch.tensor([[0, 5, 9, 4, 28]])


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Gemma3ForCausalLM", "Phi3ForCausalLM"])
def test_a_model_is_loaded_in_the_dtype_asked_for(dtype: DType, architecture: str, tmp_path: Path) -> None:
    model = load_model(write_tiny_model(tmp_path / "model", architecture=architecture), dtype=dtype)
    assert {parameter.dtype for parameter in model.module.parameters()} == {getattr(torch, dtype)}
    assert (model.dtype, model.device) == (dtype, "cpu")
    assert torch.isfinite(model.module(input_ids=TOKENS).logits).all()


@pytest.mark.parametrize("architecture", [name for name in PECULIAR if name != "GPT2LMHeadModel"])
def test_rotary_frequencies_are_not_rounded_with_the_weights(architecture: str, tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model", architecture=architecture)
    kept, rounded = (
        {name: buffer for name, buffer in load_model(folder, dtype=dtype).module.named_buffers() if "inv_freq" in name}
        for dtype in ("float32", "bfloat16")
    )
    assert kept
    for name in kept:
        torch.testing.assert_close(rounded[name], kept[name], atol=0, rtol=0)


def test_double_precision_reaches_the_norms(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model", architecture="LlamaForCausalLM")
    norm = load_model(folder, dtype="float64").parts.final_norm
    x = torch.randn(3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = x / (x.square().mean(-1, keepdim=True) + norm.epsilon).sqrt() * norm.weight
    torch.testing.assert_close(norm.module(x), expected, atol=1e-14, rtol=0)


def pickled(folder: Path) -> Path:
    """Replaces the weights of a model folder by a pickle of them."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    torch.save(weights, folder / "pytorch_model.bin")
    path.unlink()
    return folder


def test_pickled_weights_are_read_only_if_allowed(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model", architecture="MistralForCausalLM")
    expected = load_model(folder).module(input_ids=TOKENS).logits
    pickled(folder)
    with pytest.raises(ModelError, match="but holds pickles alone; allow pickles if you trust whoever made them"):
        load_model(folder)
    found = load_model(folder, allow_pickle=True).module(input_ids=TOKENS).logits
    torch.testing.assert_close(found, expected)


class Payload:
    """An object whose unpickling would call a function."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path, ("/",))


def test_a_pickle_that_holds_more_than_numbers_is_refused_even_then(tmp_path: Path) -> None:
    folder = pickled(write_tiny_model(tmp_path / "model"))
    weights = torch.load(folder / "pytorch_model.bin")
    torch.save({**weights, "more": Payload()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder, allow_pickle=True)


def test_a_device_map_without_accelerate_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tiny_model(tmp_path / "model")
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="a device_map needs the package accelerate"):
        load_model(folder, device_map="auto")


def test_a_device_map_spreads_the_modules(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model", architecture="LlamaForCausalLM")
    model = load_model(folder, device_map={"": "cpu"})
    assert model.device == "cpu"
    torch.testing.assert_close(
        model.module(input_ids=TOKENS).logits, load_model(folder).module(input_ids=TOKENS).logits
    )


def test_a_device_map_that_leaves_a_module_on_no_device_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model", architecture="LlamaForCausalLM")
    names = ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head")
    with pytest.raises(InputError, match=r"must hold the whole model, but model\.layers\.0\..* is on none of them"):
        load_model(folder, device_map={**dict.fromkeys(names, "cpu"), "model.layers": "disk"})
