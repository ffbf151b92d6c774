import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from circuitbase.cli.head_rows import head_rows
from circuitbase.cli.main import main
from circuitbase.store.trace_store import read_trace
from circuitbase.tracing.options import TraceOptions
from tests.tiny_models import PROMPT, write_tiny_dictionary, write_tiny_model

Traced = Callable[..., dict[str, Any]]
TEMPLATE = "{{ bos_token }}{% for message in messages %}<unk>is {{ message.content }}{% endfor %}<unk>of"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("options") / "tiny"
    model = write_tiny_model(folder / "model")
    (model / "chat_template.jinja").write_text(TEMPLATE)
    return ["--model", str(model), "--dictionary", str(write_tiny_dictionary(folder / "transcoders", model))]


@pytest.fixture
def traced(given: list[str]) -> Traced:
    def run(*arguments: str) -> dict[str, Any]:
        result = CliRunner().invoke(main, ["trace", PROMPT, *given, *arguments, "--json"])
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


def test_every_option_of_a_trace_reaches_its_file(given: list[str], tmp_path: Path) -> None:
    file = str(tmp_path / "t.safetensors")
    arguments = "--node-threshold 0.7 --edge-threshold 0.9 --max-outputs 3 --output-probability 0.5 --max-features 9"
    more = "--keep-mass 0.8 --silent 1/3 --silent L00/F00002 --heads --dtype bfloat16"
    explain = "--explain-attention 1/0 --explain-attention L01/head/1@-2 --explain-keys 2 --explain-pairs 9 --out"
    every = [*arguments.split(), *more.split(), *explain.split(), file]
    result = CliRunner().invoke(main, ["trace", PROMPT, *given, *every])
    assert result.exit_code == 0, result.output
    expected = TraceOptions(
        node_threshold=0.7,
        edge_threshold=0.9,
        max_outputs=3,
        output_probability=0.5,
        max_features=9,
        keep_mass=0.8,
        silent=((0, 2), (1, 3)),
        heads=True,
        explain_attention=((1, 0, -1), (1, 1, -2)),
        explain_keys=2,
        explain_pairs=9,
        dtype="bfloat16",
    )
    metadata = read_trace(file).metadata
    assert (metadata.options, metadata.request, metadata.dtype) == (expected.numeric(), expected.request(), "bfloat16")
    left_alone = {each.name for each in fields(expected) if getattr(expected, each.name) == each.default}
    assert left_alone == {"target", "prune", "tf32"}


def test_both_commands_have_an_option_for_each_of_a_traces() -> None:
    for command in ("trace", "submit"):
        text = CliRunner().invoke(main, [command, "--help"]).output
        for each in fields(TraceOptions):
            option = "--full" if each.name == "prune" else f"--{each.name.replace('_', '-')}"
            assert option in text, f"{command} lacks {option}"


def test_limits_are_reported(traced: Traced) -> None:
    whole, limited = traced(), traced("--max-features", "9", "--keep-mass", "0.8")
    assert (whole["features_traced"], whole["kept_mass"]) == (None, None)
    assert limited["features_traced"] == 9 < limited["active_features"] == whole["active_features"]
    assert 0.3 < limited["kept_mass"] < 0.85
    assert traced("--max-features", "10000")["features_traced"] == whole["active_features"]


def test_silent_nodes_come_with_their_margin_the_nearest_to_firing_first(traced: Traced) -> None:
    found = traced(*(f"--silent=1/{feature}" for feature in range(4)))
    margins = [row["margin"] for row in found["silent_nodes"]]
    assert margins == sorted(margins)
    assert margins[0] >= 0
    assert {row["node"] for row in found["silent_nodes"]} <= {f"L01/F0000{feature}" for feature in range(4)}
    assert "silent_nodes" not in traced()


def test_explained_attention_shows_links_whose_accounts_close_and_their_strongest_pairs(
    traced: Traced, given: list[str]
) -> None:
    links = traced("--explain-attention", "1/0", "--explain-attention", "1/1@3", "--top", "4")["attention_links"]
    assert [(row["link"], row["query"]) for row in links] == [("L01/head/1/link", 3)] * 3 + [("L01/head/0/link", 5)] * 3
    for row in links:
        assert row["pairs"] + row["bias"] + row["rest"] == pytest.approx(row["score"], abs=1e-5)
        sizes = [abs(pair["score"]) for pair in row["strongest_pairs"]]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) == 4
    assert "attention_links" not in traced()
    arguments = ["--explain-attention", "1/0", "--explain-keys", "1", "--table", "--top", "2"]
    shown = CliRunner().invoke(main, ["trace", PROMPT, *given, *arguments]).stdout
    assert "Attention links" in shown
    assert shown.count("L01/head/0 5 → ") == 2


def test_heads_show_the_strongest_part_of_each_strongest_edge(traced: Traced, given: list[str], tmp_path: Path) -> None:
    found = traced("--heads", "--top", "5", "--out", str(tmp_path / "t.safetensors"))
    parts = found["strongest_head_parts"]
    assert [(part["source"], part["target"]) for part in parts] == [
        (edge["source"], edge["target"]) for edge in found["strongest_edges"]
    ]
    trace = read_trace(tmp_path / "t.safetensors")
    assert len(head_rows(trace, top=10**6)) == trace.graph.n_edges
    for part in head_rows(trace, top=10**6):
        assert part["of_edge"] == pytest.approx(part["part"] / part["weight"])
        if part["source_position"] != part["target_position"]:
            assert part["last_head"].startswith(("L00/head/", "L01/head/"))
    assert "strongest_head_parts" not in traced()


def test_a_table_shows_heads_and_silent_nodes(given: list[str]) -> None:
    arguments = ["--heads", "--silent", "1/3", "--max-features", "9", "--table", "--top", "2"]
    shown = CliRunner().invoke(main, ["trace", PROMPT, *given, *arguments]).stdout
    for words in ("Strongest edges by their last head", "Silent nodes (", "features traced", "kept mass", "bos added"):
        assert words in shown


def test_with_top_0_a_table_ends_with_the_outputs(given: list[str]) -> None:
    shown = CliRunner().invoke(main, ["trace", PROMPT, *given, "--heads", "--table", "--top", "0"]).stdout
    assert "Outputs" in shown
    assert "Strongest" not in shown


def test_a_chat_prompt_is_said_to_be_one(traced: Traced) -> None:
    plain, chat = traced(), traced("--chat")
    assert (plain["bos_added"], plain["chat"]) == (True, False)
    assert (chat["bos_added"], chat["chat"]) == (False, True)
    assert chat["tokens"] == ["<bos>", "<unk>", "is", *PROMPT.split(), "<unk>", "of"]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_a_trace_can_be_made_in_any_dtype(dtype: str, traced: Traced) -> None:
    assert traced("--dtype", dtype)["account_violation"] <= (1e-11 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--full", "--node-threshold", "0.8"), "--full keeps everything, so --node-threshold has no part in it"),
        (("--answer", "alpha", "--max-outputs", "3"), "--max-outputs limits the most probable tokens"),
        (("--output", "alpha", "--output-probability", "0.5"), "--output-probability limits the most probable tokens"),
        (("--keep-mass", "1.5"), "keep_mass must be in (0, 1], got 1.5"),
        (("--max-features", "0"), "max_features must be at least 1, got 0"),
        (("--silent", "3"), "--silent should name a feature as LAYER/FEATURE, such as 2/115 or L02/F00115, got '3'"),
        (("--silent", "0/99"), "in this dictionary, got 0/99"),
        (("--explain-attention", "1"), "--explain-attention should name a head as LAYER/HEAD or LAYER/HEAD@QUERY"),
        (("--explain-attention", "1/0@last"), "such as 2/1 or 2/1@-1, got '1/0@last'"),
        (("--explain-attention", "2/0"), "a head must have a layer from 0 to 1 and an index from 0 to 1 in this model"),
        (("--explain-attention", "1/1@6"), "the query position of a head must be -6 to 5 on this prompt, got 1/1@6"),
        (("--explain-keys", "2"), "--explain-keys has no part in a trace without --explain-attention; give that too"),
        (("--explain-attention", "1/1", "--explain-pairs", "0"), "explain_pairs must be at least 1, got 0"),
        (("--device", "cpu", "--device-map", "auto"), "leave out one"),
        (("--tf32",), "--tf32 is for a GPU, and this trace is made on the CPU"),
        (("--device", "mps"), "the device must be one of this machine's"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    arguments: tuple[str, ...], sentence: str, given: list[str]
) -> None:
    result = CliRunner().invoke(main, ["trace", PROMPT, *given, *arguments])
    assert (result.exit_code, result.stdout, len(result.stderr.strip().splitlines())) == (1, "", 1), result.output
    assert sentence in result.stderr


def test_chat_and_token_ids_do_not_go_together(given: list[str]) -> None:
    result = CliRunner().invoke(main, ["trace", "--tokens", "1,2", "--chat", *given])
    assert "--chat puts a template around PROMPT, and --tokens are traced as they are" in result.stderr


def test_weights_in_pickles_need_to_be_allowed(given: list[str], tmp_path: Path) -> None:
    import torch
    import transformers

    model = write_tiny_model(tmp_path / "tiny" / "model")
    weights = transformers.AutoModelForCausalLM.from_pretrained(model).state_dict()
    (model / "model.safetensors").unlink()
    torch.save(weights, model / "pytorch_model.bin")
    arguments = ["trace", PROMPT, "--model", str(model), "--dictionary", given[3]]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert "allow pickles if you trust whoever made them" in refused.stderr
    assert CliRunner().invoke(main, [*arguments, "--allow-pickle"]).exit_code == 0
