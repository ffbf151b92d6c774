"""Loading models and dictionaries, and what is refused while doing so."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from circuitbase.errors import InputError, ModelError
from circuitbase.tracing.activations import JumpRelu, TopK
from circuitbase.tracing.dictionaries import check_fits, load_dictionary
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.models import load_model
from tests.tiny_models import write_tiny_dictionary, write_tiny_model
from tests.tracing.cases import WHOLE, Case, loaded


def test_jumprelu_compares_strictly() -> None:
    z = torch.tensor([[1.0, 2.0, -1.0, -3.0]])
    assert JumpRelu(torch.tensor([1.0, 1.0, -2.0, -2.0]))(z).tolist() == [[0.0, 2.0, -1.0, 0.0]]


def test_topk_keeps_the_largest_even_if_negative() -> None:
    assert TopK(2, positive=False)(torch.tensor([[-1.0, -2.0, 3.0, -4.0]])).tolist() == [[-1.0, 0.0, 3.0, 0.0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_is_loaded_in_the_dtype_asked_for(dtype: str, tmp_path: Path) -> None:
    found = loaded(tmp_path, dtype=dtype)  # type: ignore[arg-type]
    assert {parameter.dtype for parameter in found.model.module.parameters()} == {getattr(torch, dtype)}
    assert next(found.dictionary.layers[0].W_enc.chunks()).dtype == getattr(torch, dtype)
    assert found.model.device == "cpu"


def test_half_precision_files_are_computed_with_in_single_precision(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny" / "model")
    folder = write_tiny_dictionary(tmp_path / "tiny" / "transcoders", model, dtype=np.float16)
    found = load_dictionary(folder, model=load_model(model))
    assert next(found.layers[0].W_dec[0].chunks()).dtype == torch.float32


@pytest.mark.parametrize(
    ("reads", "hook"),
    [
        ("mlp.hook_in", Hook.MLP_INPUT),
        ("hook_resid_mid", Hook.RESIDUAL_MID),
        ("ln2.hook_normalized", Hook.MLP_NORMALIZED),
    ],
)
def test_a_hooks_name_says_where_a_dictionary_reads(reads: str, hook: Hook, tmp_path: Path) -> None:
    assert loaded(tmp_path, Case(reads=reads)).dictionary.reads == hook


def test_the_normalized_hook_of_transformer_lens_2_is_the_norms_output(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny" / "model")
    folder = write_tiny_dictionary(
        tmp_path / "tiny" / "transcoders", model, reads="ln2.hook_normalized", lens_version="2.16"
    )
    assert load_dictionary(folder, model=load_model(model)).reads == Hook.MLP_INPUT


def test_weights_that_lack_a_part_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack transformer\.h\.1\.mlp\.c_fc\.weight"):
        load_model(folder)


def test_weights_that_are_damaged_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder)


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for device in ("abacus", "cuda:99", "meta"):
        with pytest.raises(InputError, match=f"must be one of this machine's, such as cpu or cuda:0, got {device}"):
            load_model(tmp_path, device=device)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    path = found.dictionary_folder / "layer_1.safetensors"
    arrays = load_file(path)
    arrays["b_enc"][3] = np.nan
    save_file(arrays, path)
    with pytest.raises(ModelError, match="must hold finite numbers, but b_enc has others"):
        load_dictionary(found.dictionary_folder, model=found.model)


def test_a_dictionary_loaded_for_another_model_does_not_fit(tmp_path: Path) -> None:
    one, other = loaded(tmp_path / "one"), loaded(tmp_path / "other", Case(seed=1))
    with pytest.raises(InputError, match="the dictionary was loaded for the model tiny@"):
        check_fits(other.model, one.dictionary, dtype="float64")


def test_a_model_whose_logits_are_not_finite_is_refused(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    path = found.model_folder / "model.safetensors"
    weights = load_file(path)
    weights["transformer.ln_f.bias"][0] = np.inf
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="should give finite logits on this prompt in float64, but does not"):
        loaded(tmp_path).trace(WHOLE)
