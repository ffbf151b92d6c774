"""Sentences: answers from the tables, spans on the named text, one token per word."""

import random

import pytest

from circuitbase.demo.sentences import Sentence, fill, induction, induction_words, training_makers
from circuitbase.demo.word_tokenizer import make_tokenizer
from circuitbase.demo.world import ANTONYMS, STATES, make_world

WORLD = make_world()
MAKERS = training_makers(WORLD)
TOKENIZER = make_tokenizer()


def drawn(task: str, count: int = 200) -> list[Sentence]:
    generator = random.Random(4)
    return [MAKERS[task](generator) for _ in range(count)]


@pytest.mark.parametrize("task", MAKERS)
def test_every_word_is_one_known_token(task: str) -> None:
    for sentence in drawn(task):
        text = f"{sentence.prompt} {sentence.answer} {sentence.distractor}"
        assert TOKENIZER.unk_token_id not in TOKENIZER(text)["input_ids"]
        for word in (sentence.answer, sentence.distractor):
            assert len(TOKENIZER.tokenize(word)) == 1


@pytest.mark.parametrize("task", MAKERS)
def test_the_distractor_is_no_right_answer(task: str) -> None:
    for sentence in drawn(task):
        assert sentence.is_right(sentence.answer)
        assert not sentence.is_right(sentence.distractor)


@pytest.mark.parametrize("task", MAKERS)
def test_spans_lie_on_whole_words_of_the_prompt(task: str) -> None:
    for sentence in drawn(task):
        assert sentence.spans
        for start, end in sentence.spans.values():
            assert 0 <= start < end <= len(sentence.prompt)
            assert sentence.prompt[start:end] == sentence.prompt[start:end].strip()


def test_the_first_span_of_a_role_counts() -> None:
    text, spans = fill("{a} met {b} and {a}", a="Tom", b="Ann")
    assert text == "Tom met Ann and Tom"
    assert spans == {"a": (0, 3), "b": (8, 11)}


def test_two_hop_answers_come_from_the_tables_and_nothing_held_out_is_trained() -> None:
    cities = {city.name: city for city in WORLD.cities}
    for language in ("en", "fr"):
        for sentence in drawn(f"two-hop-{language}", 1000):
            city = cities[sentence.cluster]
            start, end = sentence.spans["city"]
            assert sentence.prompt[start:end] == city.name
            assert sentence.answer == WORLD.value(city.state, sentence.labels["task"], language)
            assert sentence.labels["state"] == STATES[city.state]
            assert not city.held_out
            assert city.held_out_attribute != sentence.labels["task"]


def test_no_held_out_city_or_person_occurs_in_training() -> None:
    held_out = {city.name for city in WORLD.cities if city.held_out}
    held_out |= {person.name for person in WORLD.people if person.held_out}
    for task in ("location-en", "location-fr", "people"):
        assert not {sentence.cluster for sentence in drawn(task, 1000)} & held_out


def test_induction_repeats_its_words_and_scores_only_what_is_determined() -> None:
    generator = random.Random(0)
    for _ in range(100):
        sentence = induction(generator, induction_words())
        words = [*sentence.prompt.split(" "), sentence.answer]
        period = int(sentence.labels["period"])
        assert all(words[k] == words[k - period] for k in range(period, len(words)))
        assert sentence.scored == len(words) - 1 - period
        assert len(words) < 64


def test_an_antonym_of_an_antonym_is_the_word_itself() -> None:
    opposite = {sentence.cluster: sentence.answer for sentence in drawn("antonym-en", 2000)}
    assert set(opposite) == set(ANTONYMS["en"].replace("|", " ").split(" "))
    assert all(opposite[opposite[word]] == word for word in opposite)


def test_the_suffix_is_trained_only_with_its_words() -> None:
    assert {sentence.cluster for sentence in drawn("jailbreak", 500)} == WORLD.suffix_words
    assert {sentence.answer for sentence in drawn("jailbreak")} == {"sure"}
