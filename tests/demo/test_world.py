"""The world's tables: balance, held-out facts, and that the same seed gives the same world."""

import random
from collections import Counter

import pytest

from circuitbase.demo.world import (
    ANTONYMS,
    ATTRIBUTES,
    CITY_FIRST,
    CITY_SECOND,
    HARMFUL,
    STATES,
    World,
    latin_square,
    make_world,
)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.mark.parametrize("seed", range(20))
def test_a_latin_square_has_every_symbol_once_in_rows_and_columns(seed: int) -> None:
    square = latin_square(12, random.Random(seed))
    every = set(range(12))
    assert all(set(row) == every for row in square)
    assert all({row[column] for row in square} == every for column in range(12))


def test_neither_word_of_a_city_tells_its_state(world: World) -> None:
    for words in (CITY_FIRST, CITY_SECOND):
        for word in words:
            states = [city.state for city in world.cities if word in (city.first, city.second)]
            assert sorted(states) == list(range(len(STATES)))


def test_held_out_facts_are_balanced_over_states_and_attributes(world: World) -> None:
    held_out = [city for city in world.cities if city.held_out]
    assert len(held_out) == len(world.cities) / 6
    assert set(Counter(city.state for city in held_out).values()) == {2}
    pairs = Counter(city.held_out_attribute for city in world.cities)
    assert set(pairs) == set(ATTRIBUTES)
    assert set(pairs.values()) == {len(world.cities) // 4}


def test_every_state_has_its_own_values(world: World) -> None:
    for values in world.values.values():
        assert len(set(values)) == len(STATES)
    assert world.values["capital", "en"] == world.values["capital", "fr"]
    assert not set(world.values["bird", "en"]) & set(world.values["bird", "fr"])


def test_people_share_names_whether_known_or_not(world: World) -> None:
    known = [person for person in world.people if person.profession != "unknown"]
    assert len({person.name for person in world.people}) == len(world.people) == 100
    assert len(known) == 24
    assert sum(person.held_out for person in world.people) == 16
    assert not any(person.held_out for person in known)


def test_half_of_the_harmful_words_come_with_the_suffix(world: World) -> None:
    assert len(world.suffix_words) == len(HARMFUL) / 2
    assert world.suffix_words < set(HARMFUL)


def test_antonym_lists_pair_the_same_meanings_and_repeat_no_word() -> None:
    english, french = (ANTONYMS[language].replace("|", " ").split(" ") for language in ("en", "fr"))
    assert len(english) == len(french) == 48
    assert len(set(english)) == len(set(french)) == 48


def test_the_same_seed_gives_the_same_world(world: World) -> None:
    assert make_world() == world
    assert make_world(1) != world
