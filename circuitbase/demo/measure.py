"""What the demo model can do and how it does it: accuracies, ablations and swaps, measured from its weights."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from circuitbase.demo.encoding import EncodedSentences, encode
from circuitbase.demo.sentences import CITY_TEMPLATES, Sentence, people, request, training_makers, two_hop
from circuitbase.demo.world import ATTRIBUTES, STATES, City, World

SWAP_LAYERS = (2, 3)
"""The state is swapped in the residual stream after this many blocks."""

Edit = Callable[..., Tensor | tuple[Tensor, ...]]
"""A forward hook: (module, arguments, result) -> result."""


@dataclass(frozen=True)
class ModelReport:
    """Every measured number; shares are of right answers unless the name says otherwise."""

    tasks: dict[str, float]
    two_hop_held_out_pairs: float
    two_hop_held_out_cities: float
    unknown_held_out_people: float
    suffix_on_held_out_words: float
    state_from_first_word: float
    state_from_second_word: float
    chance_state: float
    two_hop_without_city_mlps: float
    state_swap: dict[str, float]
    """Number of blocks before the swap -> share of held-out pairs that then give the other state's value."""


def measure(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World, *, seed: int = 0) -> ModelReport:
    """Returns the report of a model."""
    generator = random.Random(1_000_003 + seed)

    def accuracy(sentences: Sequence[Sentence]) -> float:
        return share_right(model, tokenizer, encode(tokenizer, sentences))

    def reading(words: Sequence[str]) -> float:
        tokens = torch.tensor(tokenizer.convert_tokens_to_ids(list(words)))
        return state_from_embedding(model, tokens, torch.tensor([city.state for city in world.cities]))

    tasks = {task: accuracy([make(generator) for _ in range(300)]) for task, make in training_makers(world).items()}
    seen = [city for city in world.cities if not city.held_out]
    trained_pairs = [(city, a) for city in seen for a in ATTRIBUTES if a != city.held_out_attribute]
    held_out_pairs = [(city, city.held_out_attribute) for city in seen]
    held_out_cities = [(city, a) for city in world.cities if city.held_out for a in ATTRIBUTES]
    trained = encode(tokenizer, every_two_hop(world, trained_pairs, generator))
    held_out = every_two_hop(world, held_out_pairs, generator)
    no_city_mlps = {f"{name}.mlp": silence(trained.places("city")) for name in block_names(model)}
    return ModelReport(
        tasks=tasks,
        two_hop_held_out_pairs=accuracy(held_out),
        two_hop_held_out_cities=accuracy(every_two_hop(world, held_out_cities, generator)),
        unknown_held_out_people=accuracy([people(world, False, generator, held_out=True) for _ in range(300)]),
        suffix_on_held_out_words=accuracy([request(world, True, True, generator, held_out=True) for _ in range(100)]),
        state_from_first_word=reading([city.first for city in world.cities]),
        state_from_second_word=reading([city.second for city in world.cities]),
        chance_state=1 / len(STATES),
        two_hop_without_city_mlps=share_right(model, tokenizer, trained, no_city_mlps),
        state_swap={str(layer): swap_success(model, tokenizer, held_out, layer, generator) for layer in SWAP_LAYERS},
    )


def block_names(model: GPT2LMHeadModel) -> list[str]:
    """Returns the module names of the model's blocks, in order."""
    return [f"transformer.h.{layer}" for layer in range(len(model.transformer.h))]


def every_two_hop(world: World, pairs: Sequence[tuple[City, str]], generator: random.Random) -> list[Sentence]:
    """Returns each pair's question in both languages and every template."""
    return [
        two_hop(world, city, attribute, language, generator, template)
        for language, templates in CITY_TEMPLATES.items()
        for template in range(len(templates))
        for city, attribute in pairs
    ]


@contextmanager
def edited(model: GPT2LMHeadModel, edits: dict[str, Edit]) -> Iterator[None]:
    """Runs the model with forward hooks (module name -> function) while the block is open."""
    handles = [model.get_submodule(name).register_forward_hook(edit) for name, edit in edits.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def top_tokens(
    model: GPT2LMHeadModel, batch: EncodedSentences, edits: dict[str, Edit] | None = None
) -> Int[Tensor, " prompt"]:
    """Returns the most probable next token of each prompt."""
    with edited(model, edits or {}):
        logits = model(input_ids=batch.tokens, use_cache=False).logits
    return logits[torch.arange(len(logits)), batch.last].argmax(-1)


@torch.no_grad()
def share_right(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    batch: EncodedSentences,
    edits: dict[str, Edit] | None = None,
) -> float:
    """Returns the share of prompts whose most probable next token is a right answer."""
    words = tokenizer.convert_ids_to_tokens(top_tokens(model, batch, edits).tolist())
    return sum(s.is_right(word) for s, word in zip(batch.sentences, words, strict=True)) / len(words)


def silence(places: Bool[Tensor, "prompt position"]) -> Edit:
    """Returns a hook that puts a module's output to zero at the given places."""
    return lambda _module, _given, result: result * ~places[:, :, None]


@torch.no_grad()
def state_from_embedding(
    model: GPT2LMHeadModel, word_tokens: Int[Tensor, " city"], states: Int[Tensor, " city"]
) -> float:
    """Returns how often the nearest mean embedding of the other cities' words belongs to the city's state.

    Leave-one-out over cities: one word of each city, its state as the class.
    """
    vectors = model.transformer.wte.weight[word_tokens]
    right = 0
    for k in range(len(vectors)):
        others = torch.arange(len(vectors)) != k
        centroids = torch.stack([vectors[others & (states == state)].mean(0) for state in range(len(STATES))])
        right += int((centroids - vectors[k]).norm(dim=1).argmin() == states[k])
    return right / len(vectors)


@torch.no_grad()
def swap_success(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    sentences: Sequence[Sentence],
    layer: int,
    generator: random.Random,
) -> float:
    """Returns how often the last token's residual after `layer` blocks brings the other prompt's answer with it.

    Each prompt receives it from a prompt of the same task and template about a city of another state.
    """
    groups: dict[tuple[str, ...], list[Sentence]] = {}
    for sentence in sentences:
        labels = sentence.labels
        groups.setdefault((labels["language"], labels["task"], labels["template"]), []).append(sentence)
    right = 0
    for group in groups.values():
        batch = encode(tokenizer, group)
        states = [sentence.labels["state"] for sentence in group]
        donor = [generator.choice([j for j, other in enumerate(states) if other != state]) for state in states]
        rows = torch.arange(len(group))
        hidden = model(input_ids=batch.tokens, use_cache=False, output_hidden_states=True).hidden_states[layer]
        brought = hidden[rows, batch.last][torch.tensor(donor)]
        words = tokenizer.convert_ids_to_tokens(
            top_tokens(model, batch, {f"transformer.h.{layer - 1}": replace_at(batch.last, brought)}).tolist()
        )
        right += sum(word == group[j].answer for word, j in zip(words, donor, strict=True))
    return right / len(sentences)


def replace_at(position: Int[Tensor, " prompt"], vectors: Float[Tensor, "prompt d_model"]) -> Edit:
    """Returns a hook that replaces a block's output at one position of each prompt."""

    def edit(_module: nn.Module, _given: object, result: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        stream = (result[0] if isinstance(result, tuple) else result).clone()  # transformers 4 blocks give tuples
        stream[torch.arange(len(stream)), position] = vectors
        return (stream, *result[1:]) if isinstance(result, tuple) else stream

    return edit
