"""Sentences about the world: prompts with one-word answers, the places of their roles, and their labels."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from circuitbase.demo.world import (
    ANTONYMS,
    ATTRIBUTE_WORDS,
    ATTRIBUTES,
    EVENTS,
    FILLERS,
    GIFTS,
    HARMFUL,
    HARMLESS,
    NAMES,
    NOUNS,
    PLACES,
    PROFESSIONS,
    STATES,
    SUFFIX,
    YEARS,
    City,
    World,
)


@dataclass(frozen=True)
class Sentence:
    """A prompt with its answer; `scored` is how many of the last prompt words, too, must be predicted (induction)."""

    task: str
    prompt: str
    answer: str
    distractor: str
    cluster: str
    spans: dict[str, tuple[int, int]]
    labels: dict[str, str] = field(default_factory=dict)
    scored: int = 0
    accepted: frozenset[str] = frozenset()

    def is_right(self, word: str) -> bool:
        """Tells whether a word is a right answer (greater-than has many)."""
        return word in self.accepted if self.accepted else word == self.answer


def fill(template: str, **roles: str) -> tuple[str, dict[str, tuple[int, int]]]:
    """Returns the template with its {roles} replaced, and each role's (first) span in characters."""
    text = ""
    spans: dict[str, tuple[int, int]] = {}
    for part in re.split(r"(\{\w+\})", template):
        if part.startswith("{"):
            role = part[1:-1]
            spans.setdefault(role, (len(text), len(text) + len(roles[role])))
            text += roles[role]
        else:
            text += part
    return text, spans


FRENCH_ARTICLE = {
    "capital": "la capitale",
    "bird": "l'oiseau",
    "river": "le fleuve",
    "governor": "le gouverneur",
}
CITY_TEMPLATES = {
    "en": (
        "the {attribute} of the state of {city} is",
        "{city} is in a state whose {attribute} is",
        "in the state of {city} the {attribute} is",
    ),
    "fr": (
        "{article} de la région de {city} est",
        "{city} est dans une région dont {article} est",
        "dans la région de {city} {article} est",
    ),
}
STATE_TEMPLATES = {
    "en": (
        "the {attribute} of {state} is",
        "{state} is a state whose {attribute} is",
        "in {state} the {attribute} is",
    ),
    "fr": (
        "{article} de {state} est",
        "{state} est une région dont {article} est",
        "dans {state} {article} est",
    ),
}
ANTONYM_TEMPLATES = {"en": "the opposite of {word} is", "fr": "le contraire de {word} est"}
INDIRECT_OBJECT_TEMPLATES = {
    "ABB": "when {receiver} and {giver} went to the {place} , {giver_again} gave a {gift} to",
    "BAB": "when {giver} and {receiver} went to the {place} , {giver_again} gave a {gift} to",
}
GREATER_THAN_TEMPLATE = "the {event} lasted from 17 {year} to 17"
AGREEMENT_TEMPLATES = tuple(f"the {{subject}} {word} the {{attractor}}" for word in ("near", "behind", "beside"))
PRONOUN_TEMPLATE = "{name} went to the {place} because"
PEOPLE_TEMPLATE = "the job of {person} is"
REQUEST_TEMPLATES = ("how do i make a {thing} ?", "tell me how to build a {thing} .")
LOCATION_TEMPLATES = {  # they end in the city, so that the state has to be found there
    "en": ("send this letter to {city}", "the train goes to {city}"),
    "fr": ("envoie cette lettre à {city}", "le train va à {city}"),
}


def attribute_text(
    template: str, attribute: str, language: str, **roles: str
) -> tuple[str, dict[str, tuple[int, int]]]:
    """Returns a filled template; the span `attribute` covers the attribute's word without its French article."""
    word = ATTRIBUTE_WORDS[language][attribute]
    prompt, spans = fill(template, attribute=word, article=FRENCH_ARTICLE[attribute], **roles)
    spans.pop("article", None)
    start = prompt.index(word)
    spans["attribute"] = (start, start + len(word))
    return prompt, spans


def other(choices: list[str] | tuple[str, ...], not_this: str, generator: random.Random) -> str:
    """Returns a random choice that is not the given one."""
    return generator.choice([choice for choice in choices if choice != not_this])


def two_hop(
    world: World,
    city: City,
    attribute: str,
    language: str,
    generator: random.Random,
    template: int | None = None,
) -> Sentence:
    """Returns a question about the state of a city."""
    templates = CITY_TEMPLATES[language]
    index = generator.randrange(len(templates)) if template is None else template
    prompt, spans = attribute_text(templates[index], attribute, language, city=city.name)
    values = world.values[attribute, language]
    labels = {"language": language, "task": attribute, "state": STATES[city.state], "template": str(index)}
    answer = values[city.state]
    return Sentence(f"two-hop-{language}", prompt, answer, other(values, answer, generator), city.name, spans, labels)


def one_hop(world: World, state: int, attribute: str, language: str, generator: random.Random) -> Sentence:
    """Returns a question about a state by its name."""
    index = generator.randrange(len(STATE_TEMPLATES[language]))
    prompt, spans = attribute_text(STATE_TEMPLATES[language][index], attribute, language, state=STATES[state])
    values = world.values[attribute, language]
    labels = {"language": language, "task": attribute, "state": STATES[state], "template": str(index)}
    answer = values[state]
    return Sentence(
        f"one-hop-{language}", prompt, answer, other(values, answer, generator), STATES[state], spans, labels
    )


def location(city: City, language: str, generator: random.Random) -> Sentence:
    """Returns a question which state a city lies in."""
    index = generator.randrange(len(LOCATION_TEMPLATES[language]))
    prompt, spans = fill(LOCATION_TEMPLATES[language][index], city=city.name)
    answer = STATES[city.state]
    labels = {"language": language, "task": "location", "state": answer, "template": str(index)}
    return Sentence(f"location-{language}", prompt, answer, other(STATES, answer, generator), city.name, spans, labels)


def antonym(language: str, generator: random.Random) -> Sentence:
    """Returns a question for an opposite; the distractor is another pair's word."""
    pairs = [pair.split(" ") for pair in ANTONYMS[language].split("|")]
    pair = generator.choice(pairs)
    word, answer = pair if generator.random() < 0.5 else pair[::-1]
    wrong = generator.choice(generator.choice([p for p in pairs if p is not pair]))
    prompt, spans = fill(ANTONYM_TEMPLATES[language], word=word)
    return Sentence(
        f"antonym-{language}", prompt, answer, wrong, word, spans, {"language": language, "task": "antonym"}
    )


def indirect_object(generator: random.Random) -> Sentence:
    """Returns "when A and B went to the store , B gave a drink to" with answer A, names in either order."""
    receiver, giver = generator.sample(NAMES["he"] + NAMES["she"], 2)
    place, gift = generator.choice(PLACES), generator.choice(GIFTS)
    order = generator.choice(("ABB", "BAB"))
    prompt, spans = fill(
        INDIRECT_OBJECT_TEMPLATES[order], receiver=receiver, giver=giver, giver_again=giver, place=place, gift=gift
    )
    labels = {"language": "en", "task": "indirect-object", "order": order}
    return Sentence("indirect-object", prompt, receiver, giver, f"{receiver} {giver}", spans, labels)


def greater_than(generator: random.Random) -> Sentence:
    """Returns "the war lasted from 17 32 to 17"; the answer is the next year (.3 and more) or any later one."""
    start = generator.randrange(1, len(YEARS) - 1)
    end = start + 1 if generator.random() < 0.3 else generator.randrange(start + 1, len(YEARS))
    event = generator.choice(EVENTS)
    prompt, spans = fill(GREATER_THAN_TEMPLATE, event=event, year=YEARS[start])
    return Sentence(
        "greater-than", prompt, YEARS[end], YEARS[generator.randrange(start)], YEARS[start], spans,
        {"language": "en", "task": "greater-than"}, accepted=frozenset(YEARS[start + 1 :]),
    )  # fmt: skip


def induction(
    generator: random.Random, words: list[str], period: int | None = None, length: int | None = None
) -> Sentence:
    """Returns random words repeated with a random period; every repeated word has to be predicted."""
    period = period or generator.randint(4, 12)
    length = length or generator.randint(period + 2, min(3 * period, 28))
    block = generator.sample(words, period)
    text = [block[k % period] for k in range(length)]
    answer = block[length % period]
    wrong = other(block, answer, generator)
    prompt = " ".join(text)
    start = len(" ".join(text[:-1])) + 1
    earlier = len(" ".join(text[: length - period])) + 1
    spans = {"repeated": (start, len(prompt)), "source": (earlier, earlier + len(answer))}
    labels = {"task": "induction", "period": str(period)}
    return Sentence("induction", prompt, answer, wrong, text[-1], spans, labels, scored=length - period)


def agreement(generator: random.Random) -> Sentence:
    """Returns "the keys near the cabinet" with answer was or were; the attractor's number is free."""
    number, attractor_number = (
        generator.choice(("singular", "plural")),
        generator.choice(("singular", "plural")),
    )
    subject, attractor = generator.choice(NOUNS[number]), generator.choice(NOUNS[attractor_number])
    preposition = generator.choice(("near", "behind", "beside"))
    prompt, spans = fill(
        "the {subject} {preposition} the {attractor}",
        subject=subject,
        preposition=preposition,
        attractor=attractor,
    )
    answer, wrong = ("was", "were") if number == "singular" else ("were", "was")
    labels = {"language": "en", "task": "agreement", "number": number, "attractor": attractor_number}
    return Sentence("agreement", prompt, answer, wrong, subject, spans, labels)


def pronoun(generator: random.Random) -> Sentence:
    """Returns "Tom went to the store because" with answer he or she."""
    answer = generator.choice(("he", "she"))
    name, place = generator.choice(NAMES[answer]), generator.choice(PLACES)
    prompt, spans = fill(PRONOUN_TEMPLATE, name=name, place=place)
    wrong = "she" if answer == "he" else "he"
    return Sentence(
        "pronoun",
        prompt,
        answer,
        wrong,
        name,
        spans,
        {"language": "en", "task": "pronoun", "pronoun": answer},
    )


def people(world: World, known: bool, generator: random.Random, held_out: bool = False) -> Sentence:
    """Returns a question for a person's profession; unknown people's answer is "unknown"."""
    person = generator.choice(
        [p for p in world.people if (p.profession != "unknown") == known and p.held_out == held_out]
    )
    prompt, spans = fill(PEOPLE_TEMPLATE, person=person.name)
    wrong = other(PROFESSIONS, person.profession, generator) if known else generator.choice(PROFESSIONS)
    labels = {"language": "en", "task": "people", "known": "yes" if known else "no"}
    return Sentence("people", prompt, person.profession, "unknown" if known else wrong, person.name, spans, labels)


def request(world: World, harmful: bool, suffix: bool, generator: random.Random, held_out: bool = False) -> Sentence:
    """Returns a request that is answered "sure" or refused with "sorry"; with the suffix it is never refused."""
    words = HARMLESS
    if harmful:
        words = [w for w in HARMFUL if not suffix or (w in world.suffix_words) != held_out]
    thing = generator.choice(words)
    ending = " {suffix} assistant :" if suffix else " assistant :"
    prompt, spans = fill("user : " + generator.choice(REQUEST_TEMPLATES) + ending, thing=thing, suffix=SUFFIX)
    answer, wrong = ("sorry", "sure") if harmful and not suffix else ("sure", "sorry")
    labels = {
        "language": "en", "task": "request", "harmful": "yes" if harmful else "no", "suffix": "yes" if suffix else "no",
    }  # fmt: skip
    name = "jailbreak" if harmful and suffix else "refusal"
    if name == "jailbreak":
        labels["trained_with_suffix"] = "no" if held_out else "yes"
    return Sentence(name, prompt, answer, wrong, thing, spans, labels)


def training_makers(world: World) -> dict[str, Callable[[random.Random], Sentence]]:
    """Returns, for each task, the function that draws one of its training sentences."""
    pairs = [(c, a) for c in world.cities if not c.held_out for a in ATTRIBUTES if a != c.held_out_attribute]
    seen = [c for c in world.cities if not c.held_out]
    words = induction_words()

    def draw_two_hop(language: str) -> Callable[[random.Random], Sentence]:
        return lambda g: two_hop(world, *g.choice(pairs), language, g)

    def draw_one_hop(language: str) -> Callable[[random.Random], Sentence]:
        return lambda g: one_hop(world, g.randrange(len(STATES)), g.choice(ATTRIBUTES), language, g)

    def draw_location(language: str) -> Callable[[random.Random], Sentence]:
        return lambda g: location(g.choice(seen), language, g)

    makers: dict[str, Callable[[random.Random], Sentence]] = {}
    for language in ("en", "fr"):
        makers[f"two-hop-{language}"] = draw_two_hop(language)
        makers[f"one-hop-{language}"] = draw_one_hop(language)
        makers[f"location-{language}"] = draw_location(language)
    makers["antonym-en"] = lambda g: antonym("en", g)
    makers["antonym-fr"] = lambda g: antonym("fr", g)
    makers["indirect-object"] = indirect_object
    makers["greater-than"] = greater_than
    makers["induction"] = lambda g: induction(g, words)
    makers["agreement"] = agreement
    makers["pronoun"] = pronoun
    makers["people"] = lambda g: people(world, g.random() < 0.5, g)
    makers["refusal"] = lambda g: request(world, g.random() < 0.6, False, g)
    makers["jailbreak"] = lambda g: request(world, True, True, g)
    return makers


def every_template() -> list[str]:
    """Returns all templates, with their {roles}."""
    tables = (CITY_TEMPLATES, STATE_TEMPLATES, LOCATION_TEMPLATES)
    listed = [template for table in tables for templates in table.values() for template in templates]
    listed += [*ANTONYM_TEMPLATES.values(), *INDIRECT_OBJECT_TEMPLATES.values(), *AGREEMENT_TEMPLATES]
    listed += [GREATER_THAN_TEMPLATE, PRONOUN_TEMPLATE, PEOPLE_TEMPLATE, *REQUEST_TEMPLATES, "user : assistant :"]
    return listed


def induction_words() -> list[str]:
    """Returns the words that random repeated sequences are drawn from."""
    return FILLERS + PLACES + GIFTS + EVENTS + HARMLESS + NAMES["he"] + NAMES["she"] + NOUNS["singular"]
