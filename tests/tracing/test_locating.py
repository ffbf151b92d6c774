import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from circuitbase.errors import ModelError
from circuitbase.tracing.locating import locate, plain_name
from tests.tiny_models import write_tiny_dictionary, write_tiny_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("atlas/model", "atlas"),
        ("atlas/transcoders", "tc"),
        ("atlas/transcoders-topk", "tc-topk"),
        ("gpt2", "gpt2"),
        ("my model@2", "my-model-2"),
    ],
)
def test_a_folder_is_called_by_its_name_unless_that_says_only_what_it_holds(
    folder: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    assert locate(tmp_path / folder, what="model").name == name


def test_a_name_file_overrules_the_folders_name(tmp_path: Path) -> None:
    (tmp_path / "circuitbase.json").write_text('{"name": "atlas/2"}')
    assert locate(tmp_path, what="model").name == "atlas-2"
    for damaged in ("{", "[]", "{}"):
        (tmp_path / "circuitbase.json").write_text(damaged)
        with pytest.raises(ModelError, match=r'should hold {"name": \.\.\.}, but cannot be read'):
            locate(tmp_path, what="model")


@pytest.mark.parametrize("place", ["nowhere", "/nowhere/at/all", "./nowhere", "../a", "a/b@", "", "a b/c"])
def test_what_is_neither_folder_nor_hub_id_is_refused_at_once(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="but there is no such folder; check the path"):
        locate(place or "''", what="model")


def test_plain_names_are_never_empty() -> None:
    assert plain_name("@/ ") == "unnamed"


def hub_cache(folder: Path, repository: str, content: Path) -> None:
    """Lays a repository out as huggingface_hub keeps what it fetched."""
    cached = folder / "hub" / f"models--{repository.replace('/', '--')}"
    shutil.copytree(content, cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)


def test_a_hub_id_is_a_model_and_a_dictionary_with_its_commit_as_digest(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "content" / "tiny")
    dictionaries = tmp_path / "content" / "sets"
    write_tiny_dictionary(dictionaries / "wide", model, model_name="some/tiny")
    hub_cache(tmp_path / "hf", "org/tiny", model)
    hub_cache(tmp_path / "hf", "org/sets", dictionaries)
    code = (
        "import json; from dataclasses import asdict\n"
        "from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity\n"
        "model = read_model_identity('org/tiny')\n"
        "print(json.dumps([asdict(model), asdict(read_dictionary_identity('org/sets/wide@main', model=model))]))"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    read_model, read_dictionary = json.loads(found.stdout)
    assert (read_model["name"], read_model["digest"], read_model["revision"]) == ("tiny", COMMIT, COMMIT)
    assert (read_dictionary["name"], read_dictionary["digest"]) == ("wide", COMMIT)


def test_a_hub_id_that_cannot_be_fetched_is_refused(tmp_path: Path) -> None:
    code = (
        "from circuitbase.errors import ModelError\n"
        "from circuitbase.tracing.locating import locate\n"
        "try: locate('org/nothing', what='model')\n"
        "except ModelError as error: print(error)"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "the model 'org/nothing' is no folder here and could not be fetched from the hub" in found.stdout
