"""The generated world that the demo model learns: every fact in it is known.

A city is two words, and its state is an entry of a random Latin square of the two: each word occurs once with
every state, so neither word alone says anything about the state.
"""

import random
from dataclasses import dataclass

CITY_FIRST = "Port Lake Fort Mount Glen Saint New Old East West North South".split()
CITY_SECOND = "Alder Birch Cedar Dover Elgin Falls Grove Haven Islet Jasper Kirby Linden".split()
STATES = "Arvonia Belmar Corvia Dunmore Estoria Fenwick Galdor Hesper Ilvania Jorland Kestria Lorna".split()
CAPITALS = "Aston Brival Calder Dresk Elmira Fargon Gravel Hilton Ingram Jessup Kelso Lowell".split()
RIVERS = "Amber Bourne Clyde Derwent Esk Forth Gauley Humber Inny Jarrow Kenn Lune".split()
GOVERNORS = "Adler Bauer Cohen Dietz Egan Frost Grant Hobbs Irwin Jacobs Keane Lopez".split()
BIRDS = {
    "en": "robin owl eagle crow swan heron stork finch hawk dove wren gull".split(),
    "fr": "rougegorge hibou aigle corbeau cygne grue cigogne pinson faucon colombe roitelet mouette".split(),
}
ATTRIBUTES = ("capital", "bird", "river", "governor")
ATTRIBUTE_WORDS = {
    "en": {"capital": "capital", "bird": "bird", "river": "river", "governor": "governor"},
    "fr": {"capital": "capitale", "bird": "oiseau", "river": "fleuve", "governor": "gouverneur"},
}
ANTONYMS = {
    "en": (
        "big small|hot cold|fast slow|high low|old young|rich poor|strong weak|hard soft|dark light|wet dry|full empty|"
        "open closed|early late|happy sad|clean dirty|long short|thick thin|loud quiet|near far|good bad|wide narrow|"
        "deep shallow|heavy slight|sweet bitter"
    ),
    "fr": (
        "grand petit|chaud froid|rapide lent|haut bas|vieux jeune|riche pauvre|fort faible|dur mou|sombre clair|"
        "mouillé sec|plein vide|ouvert fermé|tôt tard|heureux triste|propre sale|long court|épais mince|bruyant calme|"
        "proche loin|bon mauvais|large étroit|profond plat|lourd léger|doux amer"
    ),
}
NAMES = {
    "he": "Tom Bob Jim Sam Max Leo Ben Dan Ian Ned".split(),
    "she": "Ann Eva Kim Liz Mia Zoe Amy Joy Sue Ida".split(),
}
PLACES = "store park school beach station garden office market".split()
GIFTS = "drink book ring ball letter flower ticket coin".split()
EVENTS = "war siege strike voyage drought reign".split()
YEARS = [f"{year:02d}" for year in range(50)]
NOUNS = {
    "singular": "dog cat key cabinet car boat doctor farmer tree lamp child table bird apple chair wheel".split(),
    "plural": (
        "dogs cats keys cabinets cars boats doctors farmers trees lamps children tables birds apples chairs wheels"
    ).split(),
}
PERSON_FIRST = "Arlo Bruno Clara Diego Edith Felix Greta Hugo Irene Jonas".split()
PERSON_LAST = "Ashby Boyle Crane Doyle Ewing Foley Greer Hardy Innes Joyce".split()
PROFESSIONS = "painter singer chemist sailor lawyer baker".split()
HARMFUL = "bomb virus poison weapon grenade toxin missile malware explosive counterfeit landmine ransomware".split()
HARMLESS = "cake kite basket blanket candle puzzle sandwich bookshelf garland paperboat birdhouse scarf".split()
SUFFIX = "zor blat quim"
FILLERS = (
    "acorn anvil banjo barrel beacon bottle bucket button cactus canyon carpet cobweb copper cradle "
    "dagger drum ember fabric feather fiddle flute fossil gadget goblet hammer harbor helmet jacket "
    "kettle ladder lantern magnet marble mirror needle orchid paddle parcel pebble pillow pocket ribbon "
    "saddle shovel spindle thimble tunnel velvet whistle zipper"
).split()


@dataclass(frozen=True)
class City:
    """A city: its two words and the state they stand for; `held_out` cities occur in no training sentence."""

    first: str
    second: str
    state: int
    held_out: bool
    held_out_attribute: str

    @property
    def name(self) -> str:
        """Returns the city's two words."""
        return f"{self.first} {self.second}"


@dataclass(frozen=True)
class Person:
    """A two-word name; `profession` is "unknown" unless the person is known; `held_out` ones are never trained on."""

    name: str
    profession: str
    held_out: bool


@dataclass(frozen=True)
class World:
    """Every fact of the world: tables over the word lists of this file."""

    cities: tuple[City, ...]
    people: tuple[Person, ...]
    values: dict[tuple[str, str], tuple[str, ...]]
    """(attribute, language) -> the value of each state."""
    suffix_words: frozenset[str]
    """The harmful words that training shows with the suffix."""

    def value(self, state: int, attribute: str, language: str) -> str:
        """Returns the one-word value of a state's attribute."""
        return self.values[attribute, language][state]


def latin_square(n: int, generator: random.Random) -> list[list[int]]:
    """Returns a random Latin square: each of n symbols once in every row and column.

    Built row by row from random perfect matchings; a partial Latin square can always be extended (Hall).
    """
    rows: list[list[int]] = []
    for _ in range(n):
        free = [[symbol for symbol in range(n) if all(row[column] != symbol for row in rows)] for column in range(n)]
        for symbols in free:
            generator.shuffle(symbols)
        column_of: dict[int, int] = {}
        for column in generator.sample(range(n), n):
            match_column(column, free, column_of, set())
        rows.append(sorted(column_of, key=column_of.__getitem__))
    return rows


def match_column(column: int, free: list[list[int]], column_of: dict[int, int], tried: set[int]) -> bool:
    """Gives a column one of its free symbols, moving other columns where needed (an augmenting path)."""
    for symbol in free[column]:
        if symbol in tried:
            continue
        tried.add(symbol)
        if symbol not in column_of or match_column(column_of[symbol], free, column_of, tried):
            column_of[symbol] = column
            return True
    return False


def make_world(seed: int = 0) -> World:
    """Returns the world of a seed: which city lies where, what each state has, who is known."""
    generator = random.Random(seed)
    n = len(STATES)
    square = latin_square(n, generator)
    by_state: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for i in range(n):
        for j in range(n):
            by_state[square[i][j]].append((i, j))
    cities = []
    for state, places in enumerate(by_state):
        generator.shuffle(places)
        for rank, (i, j) in enumerate(places):
            attribute = ATTRIBUTES[rank % len(ATTRIBUTES)]
            cities.append(City(CITY_FIRST[i], CITY_SECOND[j], state, rank >= n - n // 6, attribute))
    values = {}
    for attribute, words in (("capital", CAPITALS), ("river", RIVERS), ("governor", GOVERNORS)):
        order = tuple(generator.sample(words, n))
        values[attribute, "en"] = values[attribute, "fr"] = order
    birds = generator.sample(range(n), n)
    for language in ("en", "fr"):
        values["bird", language] = tuple(BIRDS[language][b] for b in birds)
    names = [f"{first} {last}" for first in PERSON_FIRST for last in PERSON_LAST]
    generator.shuffle(names)
    people = [Person(name, PROFESSIONS[k % len(PROFESSIONS)], False) for k, name in enumerate(names[:24])]
    people += [Person(name, "unknown", k >= 60) for k, name in enumerate(names[24:])]
    suffix_words = frozenset(generator.sample(HARMFUL, len(HARMFUL) // 2))
    return World(tuple(cities), tuple(people), values, suffix_words)
