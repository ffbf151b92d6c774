import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from circuitbase.tracing.formats.detection import read_stored_dictionary
from tests.tracing.foreign_dictionaries import save, sparsify
from tests.tracing.reading import check_computes_what_its_format_says, refusal


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("activation", [None, "topk", "groupmax"])
def test_a_transcoder_computes_what_sparsify_does(
    activation: str | None, skip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = sparsify(tmp_path / "run", transcode=True, skip=skip, activation=activation)
    described = check_computes_what_its_format_says(foreign, monkeypatch).described
    assert (described.kind, described.rule.activation) == ("transcoder_set", activation or "topk")
    assert (described.reads.name, described.writes.name) == ("mlp.input", "mlp.output")
    assert described.model_name is None


@pytest.mark.parametrize("transcode", [None, False])
def test_an_sae_reads_and_writes_a_modules_output(
    transcode: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = sparsify(tmp_path / "run", transcode=transcode, hook="layers.{layer}.self_attn")
    described = check_computes_what_its_format_says(foreign, monkeypatch).described
    assert described.kind == "sae_set"
    assert (described.reads.name, described.writes.name) == ("self_attn.output", "self_attn.output")


@pytest.mark.parametrize(("name", "skip"), [("run", True), ("transcoder-Llama-131k", False)])
def test_an_early_transcoder_is_told_by_its_skip_or_its_name_and_subtracts_b_dec(
    name: str, skip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = check_computes_what_its_format_says(sparsify(tmp_path / name, skip=skip), monkeypatch).described
    assert (described.kind, described.reads.name) == ("transcoder_set", "mlp.input")


def test_an_sae_with_a_skip_connection_is_refused(tmp_path: Path) -> None:
    sparsify(tmp_path, transcode=False, skip=True)
    assert "h.0.mlp is an SAE with a skip connection" in refusal(tmp_path)


def test_weights_without_their_configuration_are_said_to_lack_it(tmp_path: Path) -> None:
    sparsify(tmp_path)
    for layer in range(2):
        (tmp_path / f"h.{layer}.mlp" / "cfg.json").unlink()
    assert "h.0.mlp holds sae.safetensors as sparsify does, but lacks cfg.json; add it" in refusal(tmp_path)


def test_a_folder_without_a_hook_in_its_name_is_refused(tmp_path: Path) -> None:
    sparsify(tmp_path, hook="block_{layer}")
    assert "should lie in a folder named after its hook, such as layers.5.mlp" in refusal(tmp_path)


def test_seeds_side_by_side_are_listed(tmp_path: Path) -> None:
    sparsify(tmp_path, hook="h.{layer}.mlp/seed0")
    sparsify(tmp_path, hook="h.{layer}.mlp/seed1")
    assert "layer 0 has 2: h.0.mlp/seed0, h.0.mlp/seed1; give a narrower folder" in refusal(tmp_path)


def test_a_block_is_the_residual_stream_behind_it(tmp_path: Path) -> None:
    sparsify(tmp_path, hook="layers.{layer}")
    assert read_stored_dictionary(tmp_path).described.reads.name == "output"


@pytest.mark.parametrize(
    ("activation", "k", "sentence"),
    [("topk", 25, "k must be at most"), ("groupmax", 5, "a divisor of"), ("relu", 5, "activation must be topk or")],
)
def test_a_k_or_an_activation_that_does_not_fit_is_refused(
    activation: str, k: int, sentence: str, tmp_path: Path
) -> None:
    sparsify(tmp_path)
    path = tmp_path / "h.0.mlp" / "cfg.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "activation": activation, "k": k}))
    assert sentence in refusal(tmp_path)


def test_a_transposed_encoder_is_said_to_be_one(tmp_path: Path) -> None:
    sparsify(tmp_path)
    path = tmp_path / "h.1.mlp" / "sae.safetensors"
    arrays = load_file(path)
    save(path, **{**arrays, "encoder.weight": arrays["encoder.weight"].T})
    assert "encoder.weight must have the shape [24, 16]" in refusal(tmp_path)
    assert "it seems to be transposed" in refusal(tmp_path)
