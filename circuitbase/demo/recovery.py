"""How well single dictionary features recover the variables of the world."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from circuitbase.demo.encoding import encode
from circuitbase.demo.sentences import Sentence, location, one_hop, people, request, two_hop
from circuitbase.demo.world import ATTRIBUTES, STATES, World
from circuitbase.training.activations import TokenBatch, mlp_activations
from circuitbase.training.transcoder import Transcoder

WANTED_F1 = 0.9
MOST_FEATURES = 16


@dataclass(frozen=True)
class Variable:
    """A yes/no fact of a sentence, looked for at one token: the last of a role, or of the prompt if `role` is None."""

    name: str
    draw: Callable[[random.Random], Sentence]
    is_true: Callable[[Sentence], bool]
    role: str | None = None


@dataclass(frozen=True)
class Recovery:
    """The best single feature of a variable, and how many features joined by OR reach an F1 of .9.

    `needed` is None when sixteen do not; `joined_f1` is what the join reached.
    """

    variable: str
    feature: str
    f1: float
    precision: float
    recall: float
    needed: int | None
    joined_f1: float


def variables(world: World) -> list[Variable]:
    """Returns the variables: each state, attribute, the language, known people, harmful requests."""
    seen = [city for city in world.cities if not city.held_out]

    def about_city(generator: random.Random) -> Sentence:
        language, city = generator.choice(("en", "fr")), generator.choice(seen)
        if generator.random() < 0.3:
            return location(city, language, generator)
        return two_hop(world, city, generator.choice(ATTRIBUTES), language, generator)

    def about_attribute(generator: random.Random) -> Sentence:
        language, attribute = generator.choice(("en", "fr")), generator.choice(ATTRIBUTES)
        if generator.random() < 0.5:
            return one_hop(world, generator.randrange(len(STATES)), attribute, language, generator)
        return two_hop(world, generator.choice(seen), attribute, language, generator)

    def labelled(label: str, value: str) -> Callable[[Sentence], bool]:
        return lambda sentence: sentence.labels[label] == value

    found = [Variable(f"state is {state}", about_city, labelled("state", state), "city") for state in STATES]
    found += [Variable(f"attribute is {a}", about_attribute, labelled("task", a)) for a in ATTRIBUTES]
    found.append(Variable("language is French", about_attribute, labelled("language", "fr")))
    found.append(
        Variable("person is known", lambda g: people(world, g.random() < 0.5, g), labelled("known", "yes"), "person")
    )
    found.append(
        Variable("request is harmful", lambda g: request(world, g.random() < 0.5, False, g), labelled("harmful", "yes"))
    )
    return found


def recover(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    world: World,
    transcoders: list[Transcoder],
    *,
    count: int = 1200,
    seed: int = 0,
) -> list[Recovery]:
    """Returns the recovery of every variable over `count` sentences each."""
    found = []
    for variable in variables(world):
        generator = random.Random(seed)
        sentences = [variable.draw(generator) for _ in range(count)]
        fires = firing(model, tokenizer, transcoders, sentences, variable.role)
        truth = torch.tensor([variable.is_true(sentence) for sentence in sentences])
        found.append(best_features(variable.name, fires, truth, transcoders[0].n_features))
    return found


def firing(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    transcoders: list[Transcoder],
    sentences: list[Sentence],
    role: str | None,
) -> Bool[Tensor, "sentence unit"]:
    """Returns which features (all layers, in order) fire at the last token of a role, or of the prompt."""
    batch = encode(tokenizer, sentences)
    place = batch.last
    if role is not None:
        columns = torch.arange(batch.tokens.shape[1])
        place = (batch.places(role) * columns).argmax(1)
    keep = torch.zeros_like(batch.real)
    keep[torch.arange(len(place)), place] = True
    activations = mlp_activations(model, [TokenBatch(batch.tokens, keep)])
    return torch.cat([tc.encode(read) != 0 for tc, read in zip(transcoders, activations.inputs, strict=True)], dim=1)


def f1_scores(fires: Bool[Tensor, "sentence unit"], truth: Bool[Tensor, " sentence"]) -> Float[Tensor, " unit"]:
    """Returns each unit's F1 as a detector of the truth: 2·both / (fires + true)."""
    both = (fires & truth[:, None]).sum(0)
    return 2 * both / (fires.sum(0) + truth.sum()).clamp_min(1)


def best_features(
    variable: str, fires: Bool[Tensor, "sentence unit"], truth: Bool[Tensor, " sentence"], per_layer: int
) -> Recovery:
    """Returns the best single feature, then joins features greedily by OR until the F1 wanted is reached."""
    scores = f1_scores(fires, truth)
    best = int(scores.argmax())
    joined, joined_f1, used = fires[:, best], scores[best].item(), 1
    while joined_f1 < WANTED_F1 and used < MOST_FEATURES:
        scores_with = f1_scores(fires | joined[:, None], truth)
        more = int(scores_with.argmax())
        if scores_with[more].item() <= joined_f1:
            break
        joined, joined_f1, used = joined | fires[:, more], scores_with[more].item(), used + 1
    both = (fires[:, best] & truth).sum().item()
    return Recovery(
        variable=variable,
        feature=f"L{best // per_layer:02d}/F{best % per_layer:05d}",
        f1=scores[best].item(),
        precision=both / max(1, fires[:, best].sum().item()),
        recall=both / truth.sum().item(),
        needed=used if joined_f1 >= WANTED_F1 else None,
        joined_f1=joined_f1,
    )
