"""Dictionaries of every format, from a folder to what is traced with a tiny GPT-2."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file as save_torch_file

from circuitbase.errors import ModelError
from circuitbase.tracing import dictionaries
from circuitbase.tracing.dictionaries import Dictionary, load_dictionary
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.identities import located_dictionary, read_dictionary_identity
from circuitbase.tracing.models import TracedModel, load_model
from circuitbase.tracing.rows import LazyRows, ResidentRows
from tests.tiny_models import write_tiny_model
from tests.tracing.foreign_dictionaries import (
    Foreign,
    circuit_tracer_clt,
    circuit_tracer_set,
    dictionary_learning,
    gemma_scope_1,
    gemma_scope_2,
    sae_lens,
    save,
    sparsify,
)

# format -> (how its folder is written, kind, site, where it reads, where it writes)
FORMATS: dict[str, tuple[Callable[[Path], Foreign], str, str, Hook, Hook]] = {
    "circuit-tracer set": (
        lambda folder: circuit_tracer_set(folder),
        "transcoder_set",
        "mlp",
        Hook.RESIDUAL_MID,
        Hook.MLP_OUTPUT,
    ),
    "circuit-tracer CLT": (
        lambda folder: circuit_tracer_clt(folder),
        "cross_layer_transcoder",
        "mlp",
        Hook.RESIDUAL_MID,
        Hook.MLP_WRITE,
    ),
    "Gemma Scope of MLP outputs": (
        lambda folder: gemma_scope_1(folder, what="mlp"),
        "sae_set",
        "mlp_out",
        Hook.MLP_WRITE,
        Hook.MLP_WRITE,
    ),
    "Gemma Scope of attention": (
        lambda folder: gemma_scope_1(folder, what="att"),
        "sae_set",
        "attn_z",
        Hook.HEAD_VALUES,
        Hook.HEAD_VALUES,
    ),
    "SAELens": (
        lambda folder: sae_lens(folder, hook="blocks.{layer}.hook_attn_out"),
        "sae_set",
        "attn_out",
        Hook.ATTENTION_WRITE,
        Hook.ATTENTION_WRITE,
    ),
    "sparsify": (
        lambda folder: sparsify(folder, transcode=True),
        "transcoder_set",
        "mlp",
        Hook.MLP_INPUT,
        Hook.MLP_OUTPUT,
    ),
    "dictionary_learning": (
        lambda folder: dictionary_learning(folder),
        "sae_set",
        "mlp_out",
        Hook.MLP_OUTPUT,
        Hook.MLP_OUTPUT,
    ),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TracedModel:
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"), dtype="float64")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_folder_of_any_format_becomes_a_dictionary(name: str, lazy: bool, model: TracedModel, tmp_path: Path) -> None:
    write, kind, site, reads, writes = FORMATS[name]
    foreign = write(tmp_path / "set")
    found = load_dictionary(foreign.folder, model=model, dtype="float64", any_model_name=True, lazy=lazy)
    assert (found.identity.kind, found.identity.site, found.identity.n_features) == (kind, site, 24)
    assert (found.reads, found.writes) == (reads, writes)
    assert found.identity == read_dictionary_identity(foreign.folder, model=model.identity, any_model_name=True)
    x = np.random.default_rng(1).normal(size=(5, 16))
    for layer, encode in zip(found.layers, foreign.encode, strict=True):
        firing = layer.fired(torch.from_numpy(x))
        np.testing.assert_allclose(firing.activation, encode(x)[firing.position, firing.feature], atol=1e-12)
        assert len(firing.position) == np.count_nonzero(encode(x))


def kinds(found: Dictionary) -> set[type]:
    return {type(rows) for layer in found.layers for rows in (layer.W_enc, *layer.W_dec)}


def test_small_dictionaries_are_kept_and_large_ones_read_when_asked_for(
    model: TracedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = circuit_tracer_set(tmp_path / "set").folder
    assert kinds(load_dictionary(folder, model=model)) == {ResidentRows}
    size = 2 * 24 * (16 + 16)  # layers, features, widths
    monkeypatch.setattr(dictionaries, "RESIDENT_BYTES", 4 * size)
    assert kinds(load_dictionary(folder, model=model)) == {ResidentRows}
    assert kinds(load_dictionary(folder, model=model, dtype="float64")) == {LazyRows}
    assert kinds(load_dictionary(folder, model=model, dtype="float64", lazy=False)) == {ResidentRows}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16])
def test_half_precision_files_are_computed_with_in_the_dtype_wanted(
    stored: torch.dtype, lazy: bool, model: TracedModel, tmp_path: Path
) -> None:
    folder = circuit_tracer_set(tmp_path / "set").folder
    for path in folder.glob("*.safetensors"):
        save_torch_file({name: torch.from_numpy(array).to(stored) for name, array in load_file(path).items()}, path)
    layer = load_dictionary(folder, model=model, dtype="float32", lazy=lazy).layers[0]
    assert {rows.dtype for rows in (next(layer.W_enc.chunks()), layer.b_enc, layer.b_dec)} == {torch.float32}
    firing = layer.fired(torch.randn(4, 16, generator=torch.Generator().manual_seed(0)))
    assert firing.activation.dtype == torch.float32
    assert len(firing.position) > 0


@pytest.mark.parametrize("name", ["b_enc", "W_enc", "W_dec"])
def test_numbers_that_are_not_finite_are_refused(name: str, model: TracedModel, tmp_path: Path) -> None:
    folder = circuit_tracer_set(tmp_path / "set").folder
    path = folder / "layer_1.safetensors"
    arrays = load_file(path)
    arrays[name].flat[3] = np.nan
    save(path, **arrays)
    with pytest.raises(ModelError, match=f"must hold finite numbers, but {name} has others"):
        load_dictionary(folder, model=model)
    if name == "W_enc":
        lazy = load_dictionary(folder, model=model, lazy=True)
        with pytest.raises(ModelError, match=r"layer_1\.safetensors: W_enc must hold finite numbers"):
            lazy.layers[1].fired(torch.zeros(1, 16))


def test_a_shifted_encoder_that_is_not_finite_is_refused_though_lazy(model: TracedModel, tmp_path: Path) -> None:
    folder = sae_lens(tmp_path / "set").folder
    path = folder / "layer_0" / "sae_weights.safetensors"
    arrays = load_file(path)
    arrays["W_enc"][0, 0] = np.inf
    save(path, **arrays)
    with pytest.raises(ModelError, match="W_enc must hold finite numbers"):
        load_dictionary(folder, model=model, lazy=True)


def test_saes_on_the_residual_stream_are_refused(model: TracedModel, tmp_path: Path) -> None:
    folder = sae_lens(tmp_path / "set", hook="blocks.{layer}.hook_resid_post").folder
    with pytest.raises(ModelError, match=r"SAEs on the residual stream \(hook_resid_post\) cannot be traced"):
        read_dictionary_identity(folder, model=model.identity)


def test_a_dictionary_of_another_width_or_depth_is_refused(model: TracedModel, tmp_path: Path) -> None:
    folder = sae_lens(tmp_path / "set").folder
    with pytest.raises(ModelError, match="its width is 16, the model's 32"):
        read_dictionary_identity(folder, model=replace(model.identity, d_model=32))
    with pytest.raises(ModelError, match="it has 2 layers, the model 3, and none is there for layer 2"):
        read_dictionary_identity(folder, model=replace(model.identity, n_layers=3))
    with pytest.raises(ModelError, match=r"its cfg\.json names the model tiny, but the model is called large"):
        read_dictionary_identity(folder, model=replace(model.identity, name="large"))


def test_a_dictionary_of_another_model_is_said_to_be_one_before_its_hooks_are_looked_at(
    model: TracedModel, tmp_path: Path
) -> None:
    folder = gemma_scope_2(tmp_path).folder
    with pytest.raises(ModelError, match="was made for another model: its config"):
        read_dictionary_identity(folder, model=model.identity)
    with pytest.raises(ModelError, match=r"a module of GPT2LMHeadModel .*, got pre_feedforward_layernorm\.output"):
        read_dictionary_identity(folder, model=model.identity, any_model_name=True)


@pytest.mark.parametrize(
    ("named", "called"),
    [("gpt2-small", "gpt2"), ("google/gemma-v3-1b-pt", "gemma-3-1b-pt"), ("google/gemma-3-270m", "gemma-3-270m-pt")],
)
def test_one_models_other_names_are_known(named: str, called: str, model: TracedModel, tmp_path: Path) -> None:
    folder = sae_lens(tmp_path / "set", model_name=named).folder
    read_dictionary_identity(folder, model=replace(model.identity, name=called))
    with pytest.raises(ModelError, match="names the model"):
        read_dictionary_identity(folder, model=model.identity)


def test_a_dictionary_of_head_values_must_be_as_wide_as_the_heads(model: TracedModel, tmp_path: Path) -> None:
    folder = gemma_scope_1(tmp_path, what="att").folder
    wide = replace(model.identity, d_model=20)  # heads need not be as wide together as the residual stream
    assert located_dictionary(folder, model=wide, any_model_name=True).identity.site == "attn_z"
    narrow = write_tiny_model(tmp_path / "narrow", d_model=8)
    with pytest.raises(ModelError, match="its width is 16, that of the model's 2 heads together 8"):
        load_dictionary(folder, model=load_model(narrow), any_model_name=True)


def test_a_digest_follows_contents_places_below_the_folder_and_what_the_path_alone_says(
    model: TracedModel, tmp_path: Path
) -> None:
    def digest(folder: Path) -> str:
        return read_dictionary_identity(folder, model=model.identity, any_model_name=True).digest

    mlp = gemma_scope_1(tmp_path, what="mlp").folder
    copied = shutil.copytree(mlp, tmp_path / "elsewhere" / mlp.name)
    assert digest(mlp) == digest(copied)
    (copied / "layer_0").rename(copied / "other")
    (copied / "layer_1").rename(copied / "layer_0")
    (copied / "other").rename(copied / "layer_1")
    assert digest(mlp) != digest(copied)
    assert digest(mlp) != digest(shutil.copytree(mlp, tmp_path / "gemma-scope-2b-pt-att"))
    saes = sae_lens(tmp_path / "saes").folder
    before = digest(saes)
    path = saes / "layer_0" / "cfg.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "apply_b_dec_to_input": False}))
    assert digest(saes) != before


def test_one_folder_with_two_formats_is_refused(model: TracedModel, tmp_path: Path) -> None:
    sae_lens(tmp_path)
    sparsify(tmp_path)
    with pytest.raises(ModelError, match="should hold one dictionary, but holds SAELens and sparsify"):
        read_dictionary_identity(tmp_path, model=model.identity)


def test_a_configuration_of_training_beside_the_files_is_not_circuit_tracers(
    model: TracedModel, tmp_path: Path
) -> None:
    sparsify(tmp_path, transcode=True)
    (tmp_path / "config.yaml").write_text("learning_rate: 3\nmodel_kind: transcoder_set\n")
    assert read_dictionary_identity(tmp_path, model=model.identity).activation == "topk"


def test_a_folder_without_any_dictionary_is_refused_with_what_was_looked_for(
    model: TracedModel, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"should hold a dictionary \(a config\.yaml of circuit-tracer, params\.npz"):
        read_dictionary_identity(tmp_path, model=model.identity)


def test_one_dictionary_per_layer_may_be_linked_together(model: TracedModel, tmp_path: Path) -> None:
    whole = sparsify(tmp_path / "all", hook="h.{layer}.mlp/seed0", transcode=True).folder
    sparsify(tmp_path / "all", hook="h.{layer}.mlp/seed1", transcode=True, seed=1)
    (tmp_path / "chosen").mkdir()
    for layer in range(2):
        (tmp_path / "chosen" / f"h.{layer}.mlp").symlink_to(whole / f"h.{layer}.mlp" / f"seed{layer}")
    found = read_dictionary_identity(tmp_path / "chosen", model=model.identity)
    assert (found.kind, found.n_features) == ("transcoder_set", 24)


def test_identities_are_read_without_torch(model: TracedModel, tmp_path: Path) -> None:
    folders = [
        write(tmp_path / str(number)).folder
        for number, (name, (write, *_)) in enumerate(FORMATS.items())
        if name != "dictionary_learning"
    ]
    code = (
        "import json, sys\n"
        "from circuitbase.graph.trace import ModelIdentity\n"
        "from circuitbase.tracing.identities import read_dictionary_identity\n"
        "model = ModelIdentity(**json.loads(sys.argv[1]))\n"
        "for folder in sys.argv[2:]:\n"
        "    read_dictionary_identity(folder, model=model, any_model_name=True)\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, json.dumps(model.identity.__dict__), *folders],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "False"
