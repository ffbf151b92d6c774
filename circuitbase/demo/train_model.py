"""Training of the demo model: a small GPT-2 on sentences about the world."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from circuitbase.demo.encoding import training_batch
from circuitbase.demo.sentences import Sentence, training_makers
from circuitbase.demo.world import World

CONTEXT_LENGTH = 64
TASK_SHARE = {
    "two-hop-en": 4.0, "two-hop-fr": 4.0, "location-en": 3.0, "location-fr": 3.0, "one-hop-en": 1.5, "one-hop-fr": 1.5,
    "antonym-en": 1.0, "antonym-fr": 1.0, "indirect-object": 2.0, "greater-than": 1.5, "induction": 4.0,
    "agreement": 1.0, "pronoun": 0.5, "people": 1.5, "refusal": 1.0, "jailbreak": 1.0,
}  # fmt: skip
"""How often each task is drawn."""
LEARNED_LATER = ("two-hop-en", "two-hop-fr")


@dataclass(frozen=True)
class ModelOptions:
    """Options of the model's training; the defaults are those of the packaged weights."""

    steps: int = 1000
    sentences_per_step: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: int = 100
    constant_until: float = 0.6
    two_hop_from: float = 0.5
    """Share of the steps before two-hop sentences come.

    By then a city's state is found at the city and a state's attributes are known, so the two get chained. Learned from
    the start, two-hop also joins the city's words at the last token, which leaves .5 to .75 of it when the MLPs at the
    city are ablated.
    """
    seed: int = 0


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> GPT2LMHeadModel:
    """Returns the model with random weights: 4 layers, 4 heads, d_model 128, tied embeddings."""
    torch.manual_seed(seed)
    config = GPT2Config(
        activation_function="gelu_pytorch_tanh",  # gelu_new as one operation
        vocab_size=len(tokenizer), n_positions=CONTEXT_LENGTH, n_embd=128, n_layer=4, n_head=4,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def draw(world: World, count: int, generator: random.Random, *, without: Sequence[str] = ()) -> list[Sentence]:
    """Returns sentences of the training distribution, or of its part without some tasks."""
    makers = training_makers(world)
    shares = {task: share for task, share in TASK_SHARE.items() if task not in without}
    tasks = generator.choices(list(shares), list(shares.values()), k=count)
    return [makers[task](generator) for task in tasks]


def train_model(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    world: World,
    options: ModelOptions,
    *,
    progress: Callable[[int, float], None],
) -> None:
    """Trains the model in place; `progress` is called with (step, loss)."""
    generator = random.Random(options.seed)
    model.train()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=options.learning_rate,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, options))
    for step in range(options.steps):
        without = LEARNED_LATER if step < options.two_hop_from * options.steps else ()
        sentences = draw(world, options.sentences_per_step, generator, without=without)
        # repeated words are long: a batch of their own keeps the rest free of padding
        short = [sentence for sentence in sentences if not sentence.scored]
        long = [sentence for sentence in sentences if sentence.scored]
        optimizer.zero_grad()
        total = 0.0
        for group, scale in ((short, 1.0), (long, 0.25)):  # a long one holds many answers
            loss = scale * weighted_loss(model, tokenizer, group) / options.sentences_per_step
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress(step, total)
    model.eval()


def rate_factor(step: int, options: ModelOptions) -> float:
    """Returns the learning rate's factor: linear warm-up, constant, linear fall to .03."""
    fall_from = options.constant_until * options.steps
    falling = (options.steps - step) / (options.steps - fall_from) if step >= fall_from else 1.0
    return min(1.0, (step + 1) / options.warmup) * max(0.03, falling)


def weighted_loss(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sentence]
) -> Float[Tensor, ""]:
    """Returns the summed weighted cross entropy of sentences."""
    if not sentences:
        return torch.zeros((), requires_grad=True)
    batch = training_batch(tokenizer, sentences)
    logits = model(input_ids=batch.tokens[:, :-1], use_cache=False).logits
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.tokens[:, 1:].flatten(), reduction="none")
    return (each.view_as(batch.weight) * batch.weight).sum()
