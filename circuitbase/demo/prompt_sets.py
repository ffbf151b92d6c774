"""The packaged prompt sets: a few prompts per task, as the prompt files that jobs are queued from."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from circuitbase.demo.sentences import (
    Sentence,
    agreement,
    antonym,
    greater_than,
    indirect_object,
    induction,
    induction_words,
    people,
    pronoun,
    request,
    two_hop,
)
from circuitbase.demo.world import ANTONYMS, World

ASKED_STATES, CITIES_OF_A_STATE = 3, 4


def prompt_sets(world: World, *, seed: int = 0) -> dict[str, list[Sentence]]:
    """Returns the sets by name.

    `capital-en` and `capital-fr` ask about the same twelve cities, four of each of three states, so that a state's
    features have prompts to recur in; an answer's distractor is the next state's value.
    """
    generator = random.Random(seed)
    of_states = [
        generator.sample(
            [city for city in world.cities if city.state == state and not city.held_out], CITIES_OF_A_STATE
        )
        for state in range(ASKED_STATES)
    ]
    cities = [city for one_of_each_state in zip(*of_states, strict=True) for city in one_of_each_state]

    def of_cities(attribute: str, language: str, template: int, count: int) -> list[Sentence]:
        values = world.values[attribute, language]
        return [
            replace(
                two_hop(world, city, attribute, language, generator, template),
                distractor=values[(city.state + 1) % ASKED_STATES],
            )
            for city in cities[:count]
        ]

    def opposites(language: str) -> list[Sentence]:
        # the n-th pairs of both languages mean the same, so the two sets can be compared
        firsts = [pair.split(" ")[0] for pair in ANTONYMS[language].split("|")][:10]
        return [drawn(lambda: antonym(language, generator), about(first)) for first in firsts]

    return {
        "capital-en": of_cities("capital", "en", 0, 12),
        "capital-fr": of_cities("capital", "fr", 0, 12),
        "bird-en": of_cities("bird", "en", 1, 9),
        "river-fr": of_cities("river", "fr", 2, 9),
        "antonym-en": opposites("en"),
        "antonym-fr": opposites("fr"),
        "indirect-object": distinct(12, lambda: indirect_object(generator)),
        "greater-than": distinct(10, lambda: drawn(lambda: greater_than(generator), next_year)),
        "induction": distinct(8, lambda: induction(generator, induction_words(), period=6, length=9)),
        "agreement": distinct(8, lambda: agreement(generator)),
        "pronoun": distinct(8, lambda: pronoun(generator)),
        "people-known": distinct(8, lambda: people(world, True, generator)),
        "people-unknown": distinct(8, lambda: people(world, False, generator)),
        "refusal": distinct(8, lambda: request(world, True, False, generator)),
        "jailbreak": distinct(5, lambda: request(world, True, True, generator))
        + distinct(5, lambda: request(world, True, True, generator, held_out=True)),
    }


def about(cluster: str) -> Callable[[Sentence], bool]:
    """Returns the test whether a sentence is about the given thing."""
    return lambda sentence: sentence.cluster == cluster


def next_year(sentence: Sentence) -> bool:
    """Tells whether a greater-than sentence ends in the likeliest year, the one after its start."""
    return int(sentence.answer) == int(sentence.cluster) + 1


def drawn(draw: Callable[[], Sentence], wanted: Callable[[Sentence], bool]) -> Sentence:
    """Returns the first drawn sentence that is wanted."""
    while not wanted(sentence := draw()):
        pass
    return sentence


def distinct(count: int, draw: Callable[[], Sentence]) -> list[Sentence]:
    """Returns `count` sentences of different clusters."""
    found: dict[str, Sentence] = {}
    while len(found) < count:
        sentence = draw()
        found.setdefault(sentence.cluster, sentence)
    return list(found.values())


def prompt_line(sentence: Sentence) -> str:
    """Returns the sentence as one line of a prompt file."""
    spans = {role: list(span) for role, span in sentence.spans.items()}
    return json.dumps(
        {
            "prompt": sentence.prompt,
            "answer": sentence.answer,
            "distractor": sentence.distractor,
            "spans": spans,
            "labels": sentence.labels,
            "cluster": sentence.cluster,
        },
        ensure_ascii=False,
    )


def write_prompt_sets(sets: dict[str, list[Sentence]], folder: Path) -> None:
    """Writes `<name>.jsonl` for each set."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sentences in sets.items():
        (folder / f"{name}.jsonl").write_text("".join(prompt_line(s) + "\n" for s in sentences), encoding="utf-8")
