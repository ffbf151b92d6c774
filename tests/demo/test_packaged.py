"""The shipped weights, measured anew against every gate, and the shipped prompt sets and tables."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2LMHeadModel, PreTrainedTokenizerFast

from circuitbase.demo import packaged
from circuitbase.demo.gates import dictionary_gates, model_gates
from circuitbase.demo.measure import ModelReport, measure
from circuitbase.demo.pair_sets import pair_sets, write_pair_sets
from circuitbase.demo.prompt_sets import prompt_sets, write_prompt_sets
from circuitbase.demo.replacement import replacement_scores
from circuitbase.demo.tables import atlas_page
from circuitbase.demo.train_dictionaries import dictionary_activations, score_dictionaries
from circuitbase.demo.train_model import new_model
from circuitbase.demo.world import ATTRIBUTES, make_world
from circuitbase.errors import InputError
from circuitbase.training.transcoder_set import load_transcoder_set

ROOT = Path(__file__).parents[2]
MEBIBYTE = 2**20
WORLD = make_world()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(packaged.model_folder(), local_files_only=True)


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    return AutoModelForCausalLM.from_pretrained(packaged.model_folder(), local_files_only=True).eval()


@pytest.fixture(scope="module")
def measured(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> ModelReport:
    return measure(model, tokenizer, WORLD, seed=1)  # other sentences than the report's


def test_the_shipped_weights_pass_every_gate(measured: ModelReport) -> None:
    assert len(model_gates(measured)) == 5
    assert [gate for gate in model_gates(measured) if not gate.passed] == []


def test_random_weights_pass_no_gate_that_needs_knowledge(tokenizer: PreTrainedTokenizerFast) -> None:
    gates = {gate.name: gate for gate in model_gates(measure(new_model(tokenizer, seed=0), tokenizer, WORLD))}
    assert (
        sum(gate.passed for gate in gates.values()) == 2
    )  # nothing to read in embeddings, nothing to lose by ablation
    assert not gates["two-hop on held-out (city, attribute) pairs"].passed


def test_the_shipped_transcoders_pass_every_gate(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
    transcoders = load_transcoder_set(packaged.transcoder_folder())
    assert len(transcoders) == model.config.n_layer
    assert all(512 <= transcoder.n_features <= 1024 for transcoder in transcoders)
    rows = dictionary_activations(model, tokenizer, WORLD, 6000, seed=77)
    sets = prompt_sets(WORLD)
    scores = replacement_scores(packaged.model_folder(), packaged.transcoder_folder(), sets)
    mean = sum(scores[name] * len(sentences) for name, sentences in sets.items()) / sum(map(len, sets.values()))
    gates = dictionary_gates(score_dictionaries(transcoders, rows), mean)
    assert [gate for gate in gates if not gate.passed] == []


def test_everything_shipped_is_at_most_12_mebibytes() -> None:
    folder = packaged.packaged_folder()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 12 * MEBIBYTE


def test_the_tokenizer_puts_the_special_token_in_front(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("the opposite of big is")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == 0
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the opposite of big is"


def test_there_are_enough_prompts_and_capitals_share_their_cities() -> None:
    sets = {name: path.read_text("utf-8").splitlines() for name, path in packaged.prompt_sets().items()}
    assert len(sets) >= 8
    assert sum(map(len, sets.values())) >= 100
    assert all(8 <= len(lines) <= 16 for lines in sets.values())
    cities = {name: {json.loads(line)["cluster"] for line in sets[name]} for name in ("capital-en", "capital-fr")}
    assert cities["capital-en"] == cities["capital-fr"]
    assert len(cities["capital-en"]) == 12


@pytest.mark.parametrize("name", packaged.prompt_sets())
def test_a_prompt_set_is_well_formed_and_predicted(
    name: str, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    for line in packaged.prompt_sets()[name].read_text("utf-8").splitlines():
        one = json.loads(line)
        for word in (one["answer"], one["distractor"]):
            assert len(tokenizer.tokenize(word)) == 1
            assert tokenizer.convert_tokens_to_ids(word) != tokenizer.unk_token_id
        with torch.no_grad():
            logits = model(**tokenizer(one["prompt"], return_tensors="pt")).logits[0, -1]
        assert tokenizer.decode([int(logits.argmax())]) == one["answer"]
        assert one["labels"]["task"]
        assert one["cluster"]
        for start, end in one["spans"].values():
            assert one["prompt"][start:end].strip() == one["prompt"][start:end] != ""
        if "city" in one["spans"]:
            start, end = one["spans"]["city"]
            assert one["prompt"][start:end] == one["cluster"] in {city.name for city in WORLD.cities}
            assert one["labels"]["task"] in ATTRIBUTES


def test_the_shipped_prompt_sets_are_those_of_the_script(tmp_path: Path) -> None:
    write_prompt_sets(prompt_sets(WORLD), tmp_path)
    shipped = packaged.prompt_sets()
    assert {path.stem for path in tmp_path.iterdir()} == set(shipped)
    for path in tmp_path.iterdir():
        assert path.read_text("utf-8") == shipped[path.stem].read_text("utf-8")


def test_the_shipped_pairs_are_those_of_the_script(tmp_path: Path) -> None:
    write_pair_sets(pair_sets(prompt_sets(WORLD)), tmp_path)
    shipped = packaged.pair_sets()
    assert {path.stem for path in tmp_path.iterdir()} == set(shipped) == {"indirect-object", "induction"}
    for path in tmp_path.iterdir():
        assert path.read_text("utf-8") == shipped[path.stem].read_text("utf-8")


@pytest.mark.parametrize("name", packaged.pair_sets())
def test_exchanged_tokens_turn_the_answer_round(
    name: str, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    for pair in json.loads(packaged.pair_sets()[name].read_text("utf-8"))["pairs"]:
        assert len(tokenizer.tokenize(pair["clean"])) == len(tokenizer.tokenize(pair["corrupted"]))
        for side, answer in (("clean", "correct"), ("corrupted", "wrong")):
            with torch.no_grad():
                logits = model(**tokenizer(pair[side], return_tensors="pt")).logits[0, -1]
            assert tokenizer.decode([int(logits.argmax())]) == pair[answer]


def test_the_page_holds_the_reports_numbers() -> None:
    report = json.loads(packaged.report_file().read_text("utf-8"))
    assert (ROOT / "docs" / "atlas.md").read_text("utf-8") == atlas_page(report)


def test_an_unknown_packaged_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="must be one of: atlas; got 'globe'"):
        packaged.model_folder("globe")
