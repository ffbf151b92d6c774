"""What the trained toys are known to do, measured through their own forward pass."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.evaluation.small_transformer import SmallTransformer
from circuitbase.evaluation.toy_tasks import (
    MODULUS,
    YEARS,
    Repeated,
    additions,
    predictable,
    repeated_sequences,
    sums,
    year_prompts,
)

Head = tuple[int, int]


@dataclass(frozen=True)
class InductionSignature:
    """Cross entropies are means over the positions whose next token is a repetition, in nats."""

    previous_token: Float[Tensor, "layer head"]
    """Mean attention to the position before, of tokens that come again."""
    induction: Float[Tensor, "layer head"]
    """Mean attention to the positions behind earlier occurrences of the current token, of tokens that have any."""
    loss: float
    loss_without: dict[Head, float]
    """With the one head's write replaced by its mean over sequences and positions."""
    loss_without_layer: tuple[float, ...]
    """With all heads of a layer replaced so together."""


@dataclass(frozen=True)
class GreaterThanSignature:
    """How the last position answers."""

    attention_to_year: float
    """Mean attention of the last position to the year, of the head that gives most."""
    probability_difference: float
    """Mean probability of later years minus that of the others."""


@dataclass(frozen=True)
class AdditionSignature:
    """Frequencies of the number embeddings, and what the model does with them."""

    frequencies: tuple[int, int]
    """The two with the most power."""
    power_share: float
    """Their share of the embeddings' power, the mean embedding left out."""
    accuracy: float
    accuracy_with_only: float
    """With nothing but the mean and these two frequencies in the embedding."""
    accuracy_without: float
    """With these two frequencies taken out of it."""


@torch.no_grad()
def induction_signature(model: SmallTransformer, *, sequences: int = 64, seed: int = 1) -> InductionSignature:
    """Returns where heads look and what is lost without them, on fresh sequences."""
    repeated = repeated_sequences(sequences, generator=torch.Generator().manual_seed(seed))
    patterns = attention_patterns(model, repeated.tokens)
    heads = [(layer, head) for layer in range(model.config.n_layers) for head in range(model.config.n_heads)]
    layers = [[place for place in heads if place[0] == layer] for layer in range(model.config.n_layers)]
    return InductionSignature(
        previous_token=_attention_to_previous(patterns, repeated),
        induction=_attention_behind_occurrences(patterns, repeated),
        loss=repetition_loss(model, repeated),
        loss_without={place: repetition_loss(model, repeated, without=[place]) for place in heads},
        loss_without_layer=tuple(repetition_loss(model, repeated, without=layer) for layer in layers),
    )


@torch.no_grad()
def greater_than_signature(model: SmallTransformer) -> GreaterThanSignature:
    """Returns the signature over all years."""
    prompts = year_prompts()
    patterns = attention_patterns(model, prompts)
    probability = model(prompts)[:, -1].softmax(-1)
    later = torch.arange(YEARS)[None, :] > prompts[:, 1:2]
    difference = torch.where(later, probability, -probability).sum(-1).mean()
    return GreaterThanSignature(
        attention_to_year=float(patterns[..., -1, 1].mean(1).max()), probability_difference=float(difference)
    )


@torch.no_grad()
def addition_signature(model: SmallTransformer) -> AdditionSignature:
    """Returns the signature over all pairs, by the discrete Fourier transform of the number embeddings."""
    numbers = model.W_E[:MODULUS].double()
    spectrum = torch.fft.rfft(numbers, dim=0)
    power = spectrum.abs().square().sum(-1)[1:]
    top = (power.topk(2).indices + 1).tolist()
    kept = torch.zeros(len(spectrum), 1, dtype=torch.float64)
    kept[[0, *top]] = 1.0
    removed = 1.0 - kept
    removed[0] = 1.0
    return AdditionSignature(
        frequencies=(min(top), max(top)),
        power_share=float(power[[place - 1 for place in top]].sum() / power.sum()),
        accuracy=addition_accuracy(model, numbers),
        accuracy_with_only=addition_accuracy(model, torch.fft.irfft(spectrum * kept, n=MODULUS, dim=0)),
        accuracy_without=addition_accuracy(model, torch.fft.irfft(spectrum * removed, n=MODULUS, dim=0)),
    )


def addition_accuracy(model: SmallTransformer, numbers: Float[Tensor, "number d_model"]) -> float:
    """Returns the share of right sums when numbers are embedded so."""
    tokens, table = additions(), model.W_E.clone()
    table[:MODULUS] = numbers.to(table)
    logits = torch.func.functional_call(model, {"W_E": table}, (tokens,))
    return float((logits[:, -1].argmax(-1) == sums(tokens)).float().mean())


def repetition_loss(model: SmallTransformer, repeated: Repeated, *, without: Collection[Head] = ()) -> float:
    """Returns the mean cross entropy where the next token is a repetition, with heads mean-ablated."""
    with heads_at_their_mean(model, without):
        logits = model(repeated.tokens)[:, :-1]
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), repeated.tokens[:, 1:].flatten(), reduction="none")
    weight = predictable(repeated).flatten()
    return float((each * weight).sum() / weight.sum())


@contextmanager
def heads_at_their_mean(model: SmallTransformer, heads: Collection[Head]) -> Iterator[None]:
    """Replaces what some heads write by its mean over the prompts and positions of each run inside the context."""

    def averaged(layer: int) -> None:
        block, own = model.layers[layer], model.layers[layer].head_writes

        def head_writes(*inputs: Tensor) -> Tensor:
            writes = own(*inputs).clone()
            for place, head in heads:
                if place == layer:
                    writes[:, :, head] = writes[:, :, head].mean((0, 1))
            return writes

        block.__dict__["head_writes"] = head_writes

    changed = {layer for layer, _ in heads}
    for layer in changed:
        averaged(layer)
    try:
        yield
    finally:
        for layer in changed:
            del model.layers[layer].__dict__["head_writes"]


def attention_patterns(
    model: SmallTransformer, tokens: Int[Tensor, "batch position"]
) -> Float[Tensor, "layer batch head position key_position"]:
    """Returns the patterns of every layer."""
    found = []
    stream = model.embed(tokens) + model.positions(tokens.shape[1])
    for block in model.layers:
        by_head = stream.unsqueeze(2).expand(-1, -1, model.config.n_heads, -1)
        found.append(block.pattern(by_head, by_head))
        stream = block(stream)
    return torch.stack(found)


def _attention_to_previous(
    patterns: Float[Tensor, "layer batch head position key_position"], repeated: Repeated
) -> Float[Tensor, "layer head"]:
    tokens = repeated.tokens
    later = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
    comes_again = ((tokens[:, :, None] == tokens[:, None, :]) & later).any(-1)[:, 1:].to(patterns)
    weight = patterns.diagonal(-1, dim1=-2, dim2=-1)
    return torch.einsum("lbht,bt->lh", weight, comes_again) / comes_again.sum()


def _attention_behind_occurrences(
    patterns: Float[Tensor, "layer batch head position key_position"], repeated: Repeated
) -> Float[Tensor, "layer head"]:
    tokens = repeated.tokens
    behind = torch.zeros(*tokens.shape, tokens.shape[1]).to(patterns)
    behind[:, :, 1:] = (tokens[:, :, None] == tokens[:, None, :-1]).to(patterns)  # of each query the keys sought
    behind = behind.tril() * repeated.again[:, :, None]
    return torch.einsum("lbhqk,bqk->lh", patterns, behind) / repeated.again.sum()
