"""Trains the packaged toys, whose mechanisms are known, on one thread.

On a machine that others used at the same time they took 1 minute (greater-than), 2 (induction), 3 (redundancy) and
8 (modular addition).

`python -m circuitbase.evaluation.train_toys [FOLDER] [NAME ...]`; the same seeds give the same weights on the same
machine and version of torch.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.evaluation.small_files import save_small
from circuitbase.evaluation.small_transformer import SmallConfig, SmallTransformer
from circuitbase.evaluation.toy_tasks import (
    EQUALS,
    INDUCTION_LENGTH,
    INDUCTION_VOCABULARY,
    MODULUS,
    YEARS,
    additions,
    later_years,
    predictable,
    repeated_sequences,
    sums,
    year_prompts,
)

Loss = Callable[[SmallTransformer, torch.Generator], Float[Tensor, ""]]


@dataclass(frozen=True)
class Toy:
    """A toy's shape, its loss and how long it is trained."""

    config: SmallConfig
    loss: Loss
    steps: int
    learning_rate: float
    weight_decay: float
    says: str
    """Its known mechanism, for people."""
    embedding_scale: float = 1.0
    """What embeddings are multiplied by before training: small ones, positions above all, keep heads from looking
    sharply at one position."""
    seed: int = 0


def induction_loss(model: SmallTransformer, generator: torch.Generator) -> Float[Tensor, ""]:
    """Returns the cross entropy where the next token is a repetition."""
    repeated = repeated_sequences(32, generator=generator)
    logits = model(repeated.tokens)[:, :-1]
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), repeated.tokens[:, 1:].flatten(), reduction="none")
    weight = predictable(repeated).flatten()
    return (each * weight).sum() / weight.sum()


def greater_than_loss(model: SmallTransformer, _generator: torch.Generator) -> Float[Tensor, ""]:
    """Returns the cross entropy with the uniform distribution over later years, over all years."""
    return torch.nn.functional.cross_entropy(model(year_prompts())[:, -1], later_years())


def addition_loss(model: SmallTransformer, generator: torch.Generator) -> Float[Tensor, ""]:
    """Returns the cross entropy of sums, over a random third of all pairs."""
    tokens = additions()
    chosen = tokens[torch.randperm(len(tokens), generator=generator)[: len(tokens) // 3]]
    return torch.nn.functional.cross_entropy(model(chosen)[:, -1], sums(chosen))


def induction_config(n_heads: int) -> SmallConfig:
    """Returns the shape of the two induction toys."""
    return SmallConfig(
        n_layers=2, n_heads=n_heads, d_model=64, d_head=64 // n_heads, d_mlp=0, d_vocab=INDUCTION_VOCABULARY,
        d_vocab_out=INDUCTION_VOCABULARY, n_positions=INDUCTION_LENGTH, norm="layer",
        score_scale=(64 // n_heads) ** -0.5,
    )  # fmt: skip


TOYS = {
    "induction": Toy(
        induction_config(1), induction_loss, 3000, 3e-3, 0.01,
        "head 0.0 looks at the previous token, head 1.0 at what followed the current one before",
        embedding_scale=8.0,
    ),
    "redundancy": Toy(
        induction_config(4), induction_loss, 1500, 3e-3, 0.01,
        "second-layer heads are induction heads that back each other up",
        embedding_scale=8.0,
    ),
    "greater-than": Toy(
        SmallConfig(n_layers=1, n_heads=1, d_model=32, d_head=32, d_mlp=64, d_vocab=YEARS + 3, d_vocab_out=YEARS,
                    n_positions=4, norm="layer", activation="gelu", score_scale=32**-0.5),
        greater_than_loss, 3000, 3e-3, 0.1,
        "the last position looks at the year, and later years get the probability",
    ),
    "modular-addition": Toy(
        SmallConfig(n_layers=1, n_heads=4, d_model=64, d_head=16, d_mlp=128, d_vocab=EQUALS + 1, d_vocab_out=MODULUS,
                    n_positions=3, score_scale=0.25),
        addition_loss, 6000, 3e-3, 3.0,
        "numbers are embedded by the sine and cosine of two frequencies",
    ),
}  # fmt: skip


def train_toy(toy: Toy) -> SmallTransformer:
    """Returns a toy, trained by AdamW with a linear warm-up and a linear fall at the end."""
    torch.manual_seed(toy.seed)
    generator = torch.Generator().manual_seed(toy.seed)
    model = SmallTransformer(toy.config)
    with torch.no_grad():
        model.W_E.mul_(toy.embedding_scale)
        model.W_pos.mul_(toy.embedding_scale)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=toy.learning_rate, betas=(0.9, 0.98), weight_decay=toy.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 50, max(0.02, 3 * (toy.steps - step) / toy.steps))
    )
    for step in range(toy.steps):
        optimizer.zero_grad()
        loss = toy.loss(model, generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 250 == 0 or step == toy.steps - 1:
            sys.stderr.write(f"step {step} loss {loss.item():.4f}\n")
    return model.eval().requires_grad_(False)


def main(folder: Path, names: list[str]) -> None:
    """Trains toys and writes their fixtures."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        started = time.perf_counter()
        model = train_toy(TOYS[name])
        path = folder / f"{name}.safetensors"
        save_small(model, path, facts={"says": TOYS[name].says, "steps": TOYS[name].steps, "seed": TOYS[name].seed})
        sys.stdout.write(f"{path} {path.stat().st_size} bytes, {time.perf_counter() - started:.0f} s\n")


if __name__ == "__main__":
    here = Path(__file__).parent / "models"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here, sys.argv[2:] or list(TOYS))
