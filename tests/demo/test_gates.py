"""Which measurements are accepted, and the edits that measure them on a random model."""

import random
from dataclasses import replace

import pytest
import torch

from circuitbase.demo.encoding import encode
from circuitbase.demo.gates import dictionary_gates, model_gates, refuse_failures
from circuitbase.demo.measure import ModelReport, edited, every_two_hop, replace_at, silence, state_from_embedding
from circuitbase.demo.sentences import CITY_TEMPLATES
from circuitbase.demo.train_model import new_model
from circuitbase.demo.word_tokenizer import make_tokenizer
from circuitbase.demo.world import make_world
from circuitbase.errors import ModelError
from circuitbase.training.scores import TranscoderScore

GOOD = ModelReport(
    tasks={"one": 0.95, "two": 0.9},
    two_hop_held_out_pairs=0.92,
    two_hop_held_out_cities=0.0,
    unknown_held_out_people=0.0,
    suffix_on_held_out_words=0.0,
    state_from_first_word=0.1,
    state_from_second_word=0.18,
    chance_state=1 / 12,
    two_hop_without_city_mlps=0.3,
    state_swap={"2": 0.4, "3": 0.9},
)


def test_a_report_at_the_bounds_is_accepted() -> None:
    refuse_failures(model_gates(GOOD))


@pytest.mark.parametrize(
    "worse",
    [
        {"tasks": {"one": 0.95, "two": 0.89}},
        {"two_hop_held_out_pairs": 0.89},
        {"state_from_second_word": 0.19},
        {"two_hop_without_city_mlps": 0.31},
        {"state_swap": {"2": 0.4, "3": 0.89}},
    ],
)
def test_each_bound_refuses_by_itself_and_is_named(worse: dict[str, object]) -> None:
    gates = model_gates(replace(GOOD, **worse))  # type: ignore[arg-type]
    failed = [gate for gate in gates if not gate.passed]
    assert len(failed) == 1
    with pytest.raises(ModelError, match="what was trained is not accepted") as caught:
        refuse_failures(gates)
    assert failed[0].name in str(caught.value)


def test_the_worst_layer_decides_about_dictionaries() -> None:
    good = TranscoderScore(fvu=0.03, l0=16.0, dead=0.15, rows=10)
    assert all(gate.passed for gate in dictionary_gates([good, good], 0.8))
    for bad in (replace(good, fvu=0.031), replace(good, l0=16.1), replace(good, dead=0.16)):
        assert sum(not gate.passed for gate in dictionary_gates([good, bad], 0.8)) == 1
    assert sum(not gate.passed for gate in dictionary_gates([good], 0.79)) == 1


def test_places_cover_the_two_words_of_a_city_in_every_template() -> None:
    tokenizer, world = make_tokenizer(), make_world()
    sentences = every_two_hop(world, [(world.cities[0], "capital")], random.Random(0))
    assert len(sentences) == sum(map(len, CITY_TEMPLATES.values()))
    batch = encode(tokenizer, sentences)
    for row, places in enumerate(batch.places("city")):
        words = tokenizer.convert_ids_to_tokens(batch.tokens[row][places].tolist())
        assert " ".join(words) == world.cities[0].name


def test_silencing_and_replacing_change_only_their_places() -> None:
    model = new_model(make_tokenizer(), seed=0)
    tokens = torch.randint(3, 100, (2, 6), generator=torch.Generator().manual_seed(0))
    places = torch.zeros_like(tokens, dtype=torch.bool)
    places[0, 4] = True
    with torch.no_grad():
        plain = model(input_ids=tokens, use_cache=False).logits
        with edited(model, {"transformer.h.0.mlp": silence(places)}):
            silenced = model(input_ids=tokens, use_cache=False).logits
        vectors = torch.zeros(2, 128)
        with edited(model, {"transformer.h.3": replace_at(torch.tensor([5, 5]), vectors)}):
            replaced = model(input_ids=tokens, use_cache=False).logits
        again = model(input_ids=tokens, use_cache=False).logits
    assert torch.equal(plain, again)
    assert torch.equal(plain[1], silenced[1])
    assert torch.equal(plain[0, :4], silenced[0, :4])
    assert not torch.equal(plain[0, 4], silenced[0, 4])
    assert torch.equal(plain[:, :5], replaced[:, :5])
    assert torch.equal(replaced[0, 5], replaced[1, 5])


def test_a_state_written_into_an_embedding_is_read_and_chance_is_not_beaten_without() -> None:
    model = new_model(make_tokenizer(), seed=0)
    words = torch.arange(10, 34)
    states = torch.arange(24) % 12
    assert state_from_embedding(model, words, states) < 0.3
    with torch.no_grad():
        model.transformer.wte.weight[words, states] = 5.0
    assert state_from_embedding(model, words, states) == 1
