import csv
import io
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore, read_trace
from tests.tiny_models import PROMPT, write_tiny_dictionary, write_tiny_model


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("cli") / "tiny"
    model = write_tiny_model(folder / "model")
    return str(model), str(write_tiny_dictionary(folder / "transcoders", model))


def run(folders: tuple[str, str], *arguments: str) -> Result:
    model, dictionary = folders
    return CliRunner().invoke(main, ["trace", "--model", model, "--dictionary", dictionary, *arguments])


def refusal(folders: tuple[str, str], *arguments: str) -> str:
    """Returns the one sentence on standard error of a command that failed with exit code 1 and printed nothing else."""
    result = run(folders, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


def test_a_trace_is_one_json_object_when_piped(folders: tuple[str, str]) -> None:
    result = run(folders, PROMPT)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["tokens"] == ["<bos>", *PROMPT.split()]
    assert found["nodes"] < found["nodes_before_pruning"]
    assert found["account_violation"] <= 1e-5
    assert len(found["strongest_nodes"]) == len(found["strongest_edges"]) == 10
    assert found["outputs"][0]["token"] == found["top_token"]
    assert "the dictionary explains less than nothing of this prompt" in result.stderr


def test_a_table_shows_scores_outputs_nodes_and_edges(folders: tuple[str, str]) -> None:
    shown = run(folders, PROMPT, "--table", "--top", "3").stdout
    for word in ("replacement", "completeness", "account violation", "Outputs", "Strongest nodes", "Strongest edges"):
        assert word in shown


def test_csv_is_every_edge(folders: tuple[str, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(run(folders, PROMPT, "--csv", "--full").stdout)))
    assert len(rows) == json.loads(run(folders, PROMPT, "--full").stdout)["edges_before_pruning"]
    assert {row["target"] for row in rows if row["target"].startswith("out")} <= {row["target"] for row in rows}
    influences = [float(row["influence"]) for row in rows]
    assert influences == sorted(influences, reverse=True)


def test_a_trace_file_is_the_same_bytes_each_time(folders: tuple[str, str], tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path in (first, second):
        result = run(folders, PROMPT, "--out", str(path))
        assert f"wrote {path}" in result.stderr
    assert first.read_bytes() == second.read_bytes()
    assert read_trace(first).metadata.trace_id == json.loads(result.stdout)["trace"]


def test_without_out_or_store_nothing_is_kept(folders: tuple[str, str], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    run(folders, PROMPT)
    assert sorted(tmp_path.rglob("*")) == before


def test_full_keeps_everything(folders: tuple[str, str]) -> None:
    found = json.loads(run(folders, PROMPT, "--full").stdout)
    assert (found["nodes"], found["edges"]) == (found["nodes_before_pruning"], found["edges_before_pruning"])


def test_token_ids_are_traced_like_the_text_they_make(folders: tuple[str, str], tmp_path: Path) -> None:
    tokens = read_trace_of(folders, tmp_path, PROMPT).metadata.prompt.token_ids
    by_id = read_trace_of(folders, tmp_path, "--tokens", ",".join(map(str, tokens)))
    assert by_id.metadata.trace_id == read_trace_of(folders, tmp_path, PROMPT).metadata.trace_id
    assert by_id.metadata.prompt.text is None


def read_trace_of(folders: tuple[str, str], tmp_path: Path, *arguments: str):
    assert run(folders, *arguments, "--out", str(tmp_path / "t.safetensors")).exit_code == 0
    return read_trace(tmp_path / "t.safetensors")


def test_an_answer_makes_a_role_output(folders: tuple[str, str]) -> None:
    found = json.loads(run(folders, PROMPT, "--answer", "alpha", "--distractor", "beta").stdout)
    assert [output["output"] for output in found["outputs"]] == ["answer-distractor"]
    assert found["logit_difference"] is not None
    alone = json.loads(run(folders, PROMPT, "--answer", "alpha", "--target", "roles").stdout)
    assert [output["output"] for output in alone["outputs"]] == ["answer"]


def test_float64_closes_the_account_tighter(folders: tuple[str, str]) -> None:
    assert json.loads(run(folders, PROMPT, "--dtype", "float64").stdout)["account_violation"] <= 1e-11


def test_store_puts_the_file_into_the_store_and_the_trace_into_neo4j_once(
    folders: tuple[str, str], settings: Settings, database: Driver
) -> None:
    result = run(folders, PROMPT, "--store")
    assert result.exit_code == 0, result.stderr
    trace_id = json.loads(result.stdout)["trace"]
    assert f"trace {trace_id[:12]} is now in Neo4j" in result.stderr
    assert TraceStore(settings.store_url).load(trace_id).metadata.trace_id == trace_id
    assert f"trace {trace_id[:12]} was in Neo4j already" in run(folders, PROMPT, "--store").stderr
    assert database.execute_query("MATCH (t:Trace) RETURN t.id AS id").records[0]["id"] == trace_id


def test_store_without_a_database_says_how_to_start_one(folders: tuple[str, str]) -> None:
    assert "run `circuitbase up`" in run(folders, PROMPT, "--store").stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give either PROMPT or --tokens, got neither"),
        ((PROMPT, "--tokens", "1"), "give either PROMPT or --tokens, got both"),
        (("",), "the prompt is empty"),
        (("--tokens", ""), "the prompt is empty"),
        (("the " * 16,), "the prompt has 17 tokens, but the model reads at most 16"),
        (("--tokens", "0,29"), "token ids must be 0 to 28, got 29"),
        (("--tokens", "0,two"), "--tokens should be token ids by commas"),
        ((PROMPT, "--answer", "zonk"), "'zonk' must be one token, but the tokenizer does not know it"),
        ((PROMPT, "--distractor", "alpha"), "--distractor needs --answer"),
        ((PROMPT, "--target", "roles"), "--target roles needs --answer"),
        ((PROMPT, "--target", "probable", "--answer", "alpha"), "--answer has no part in a trace of the probable"),
        ((PROMPT, "--answer", "alpha", "--distractor", "alpha"), "must compare two tokens"),
        ((PROMPT, "--device", "abacus"), "the device must be one of this machine's"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], sentence: str, folders: tuple[str, str]) -> None:
    assert sentence in refusal(folders, *arguments)


def test_unknown_folders_are_one_sentence(folders: tuple[str, str]) -> None:
    model, dictionary = folders
    assert "the model 'nowhere' should be a folder or a hub id" in refusal(("nowhere", dictionary), PROMPT)
    assert "the dictionary 'nowhere' should be a folder or a hub id" in refusal((model, "nowhere"), PROMPT)


def test_a_dictionary_made_for_another_model_is_one_sentence(folders: tuple[str, str], tmp_path: Path) -> None:
    model, _ = folders
    other = write_tiny_model(tmp_path / "other" / "model", d_model=32, n_layers=3)
    dictionary = write_tiny_dictionary(tmp_path / "other" / "transcoders", other)
    assert "was made for another model: its width is 32, the model's 16" in refusal((model, str(dictionary)), PROMPT)


def test_another_model_name_can_be_overruled(folders: tuple[str, str], tmp_path: Path) -> None:
    model, _ = folders
    dictionary = write_tiny_dictionary(tmp_path / "transcoders", Path(model), model_name="another")
    assert "names the model another" in refusal((model, str(dictionary)), PROMPT)
    assert run((model, str(dictionary)), PROMPT, "--any-model-name").exit_code == 0


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Lets no file grow beyond `size` bytes, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_no_half_file(folders: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "full" / "trace.safetensors"
    with files_at_most(4096):
        result = run(folders, PROMPT, "--out", str(path))
    assert result.exit_code == 1
    assert f"{path} cannot be written" in result.stderr
    assert list(path.parent.iterdir()) == []
