import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.detection import read_stored_dictionary
from circuitbase.tracing.locating import locate_file
from tests.tracing.foreign_dictionaries import circuit_tracer_set, gemma_scope_1, listed, save
from tests.tracing.reading import check_computes_what_its_format_says, refusal


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_a_transcoder_set_computes_what_circuit_tracer_does(
    activation: str, skip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = circuit_tracer_set(tmp_path, activation=activation, skip=skip)
    described = check_computes_what_its_format_says(foreign, monkeypatch).described
    assert (described.kind, described.rule.activation) == ("transcoder_set", activation)


@pytest.mark.parametrize("earliest", [False, True])
def test_a_list_says_where_the_files_are(earliest: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = listed(circuit_tracer_set(tmp_path, activation="jumprelu"), earliest=earliest)
    stored = check_computes_what_its_format_says(foreign, monkeypatch)
    assert [path.parent.name for path in stored.files[1:]] == ["files", "files"]


@pytest.mark.parametrize("square", [False, True])
def test_relu_files_of_the_earliest_lists_hold_decoders_transposed(
    square: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = circuit_tracer_set(tmp_path, activation="relu", transposed_decoder=True, n_features=16 if square else 24)
    stored = check_computes_what_its_format_says(listed(foreign, earliest=True), monkeypatch)
    assert all(layer.W_dec[0].transposed for layer in stored.layers)


def test_a_list_may_name_files_of_gemma_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = listed(gemma_scope_1(tmp_path), folder=tmp_path / "set")
    stored = check_computes_what_its_format_says(foreign, monkeypatch)
    assert stored.described.rule.relu
    assert stored.described.reads.name == "hook_resid_mid"
    assert {path.name for path in stored.files} == {"config.yaml", "params.npz"}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], "transcoders must list a file for each layer"),
        ("all", "transcoders must list a file for each layer, got 'all'"),
        ([3], "each entry of transcoders must be a path, or a mapping with layer and filepath, got 3"),
        (["nowhere.safetensors"], "lists nowhere.safetensors, but there is no such file"),
        (["config.yaml"], "a layer's file must be .safetensors or .npz"),
        ([{"layer": 1, "filepath": "layer_1.safetensors"}], "must list each layer from 0 to 0 once, got 1"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused(entries: Any, sentence: str, tmp_path: Path) -> None:
    circuit_tracer_set(tmp_path, transcoders=entries)
    assert sentence in refusal(tmp_path)


def test_a_list_of_two_formats_is_refused(tmp_path: Path) -> None:
    circuit_tracer_set(tmp_path, transcoders=["layer_0.safetensors", "other.safetensors"])
    arrays = load_file(tmp_path / "layer_1.safetensors")
    save(
        tmp_path / "other.safetensors",
        **{name: array for name, array in arrays.items() if "." not in name},
        threshold=arrays["b_enc"],
    )
    assert "every layer must be of one format" in refusal(tmp_path)


def test_files_on_the_hub_are_found_where_it_keeps_what_it_fetched(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hf" / "hub" / "models--org--sets"
    circuit_tracer_set(cached / "snapshots" / commit / "wide")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    names = [f"hf://org/sets/wide/layer_{layer}.safetensors?revision=main" for layer in range(2)]
    circuit_tracer_set(tmp_path / "set", transcoders=names)
    code = (
        "import sys; from pathlib import Path\n"
        "from circuitbase.tracing.formats.detection import read_stored_dictionary\n"
        "print(*read_stored_dictionary(Path(sys.argv[1])).files)"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "set"], env=environment, capture_output=True, text=True, check=True
    )
    paths = [Path(path) for path in found.stdout.split()]
    assert [path.name for path in paths] == ["config.yaml", "layer_0.safetensors", "layer_1.safetensors"]
    assert paths[1].is_relative_to(cached)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ModelError, match=r"must look like hf://org/repo/path\?revision=main, got hf://org"):
        locate_file("hf://org")


def test_a_scalar_k_in_the_files_is_tolerated(tmp_path: Path) -> None:
    circuit_tracer_set(tmp_path, activation="topk", saved_k=True)
    assert read_stored_dictionary(tmp_path).layers[0].k == 6
