"""Training of BatchTopK transcoders (Bussmann et al. 2024), kept as JumpReLU thresholds.

In training the batch's rows share a budget: the B·k largest activations of B rows are kept. For use, each
feature gets the running mean of the smallest kept activation as its threshold, so a feature no longer depends on
its rivals. A second loss (Gao et al. 2024) lets features that have not fired for a while fit what is left over.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuitbase.training.transcoder import Transcoder


@dataclass(frozen=True)
class TrainingOptions:
    """Options of one transcoder's training; the defaults are those of the demo model's dictionaries."""

    n_features: int = 512
    k: int = 15
    """Mean number of active features per row."""
    steps: int = 3000
    batch_rows: int = 2048
    learning_rate: float = 2e-3
    dead_after: int = 40
    """Steps without firing after which the auxiliary loss takes a feature up."""
    restart_every: int = 100
    auxiliary_k: int = 32
    auxiliary_weight: float = 1 / 32
    shared_budget: bool = True
    """False gives every row its own k instead (TopK): the thresholds then mean nothing."""
    threshold_decay: float = 0.995
    seed: int = 0


@dataclass(frozen=True)
class Scaling:
    """The affine change of inputs and outputs under which training runs; undone in the result."""

    input_mean: Float[Tensor, " d_model"]
    input_scale: float
    output_mean: Float[Tensor, " d_model"]
    output_scale: float


def scaling(inputs: Float[Tensor, "row d_model"], outputs: Float[Tensor, "row d_model"]) -> Scaling:
    """Returns the change that centres both and makes the mean square of a row the width (inputs) and 1 (outputs)."""
    input_mean, output_mean = inputs.mean(0), outputs.mean(0)
    input_square = (inputs - input_mean).square().sum(1).mean().item()
    output_square = (outputs - output_mean).square().sum(1).mean().item()
    width = inputs.shape[1]
    return Scaling(
        input_mean,
        math.sqrt(width / max(input_square, 1e-12)),
        output_mean,
        1 / math.sqrt(max(output_square, 1e-12)),
    )


def train_transcoder(
    inputs: Float[Tensor, "row d_model"],
    outputs: Float[Tensor, "row d_model"],
    options: TrainingOptions,
    *,
    progress: Callable[[int, float], None] | None = None,
) -> Transcoder:
    """Returns a transcoder of the given rows; `progress` is called with (step, FVU of the step's batch).

    The decoder's rows have norm 1 in the units of `outputs`, so an activation is the length of what is written.
    """
    generator = torch.Generator().manual_seed(options.seed)
    scale = scaling(inputs, outputs)
    width, n = inputs.shape[1], options.n_features
    start = spread_rows(outputs, n, generator)
    W_dec = torch.nn.functional.normalize(outputs[start] - scale.output_mean, dim=1)
    W_enc = torch.nn.functional.normalize(inputs[start] - scale.input_mean, dim=1) / math.sqrt(width)
    parameters = {"W_enc": W_enc, "b_enc": torch.zeros(n), "W_dec": W_dec, "b_dec": torch.zeros(width)}
    for parameter in parameters.values():
        parameter.requires_grad_()
    optimizer = torch.optim.Adam(parameters.values(), lr=options.learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 50, 1.25 * (1 - step / options.steps) + 0.01)
    )
    idle = torch.zeros(n)
    threshold = 0.0
    for step in range(options.steps):
        rows = torch.randint(len(inputs), (options.batch_rows,), generator=generator)
        read = (inputs[rows] - scale.input_mean) * scale.input_scale
        wanted = (outputs[rows] - scale.output_mean) * scale.output_scale
        pre = torch.addmm(parameters["b_enc"], read, parameters["W_enc"].T)
        positive = pre.relu()
        active, smallest = kept(positive, options)
        error = wanted - torch.addmm(parameters["b_dec"], active, parameters["W_dec"])
        fvu = error.square().sum(1).mean()
        loss = fvu
        idle = torch.where((active > 0).any(0), 0, idle + 1)
        dead = idle >= options.dead_after
        if dead.any():
            loss = loss + options.auxiliary_weight * auxiliary_loss(pre, error, parameters["W_dec"], dead, options)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            parameters["W_dec"] /= parameters["W_dec"].norm(dim=1, keepdim=True)
            if dead.any() and (step + 1) % options.restart_every == 0 and step < 0.8 * options.steps:
                restart(parameters, dead, read, error, 2 * smallest, generator)
                idle[dead] = 0
        decay = min(options.threshold_decay, step / (step + 1))
        threshold = decay * threshold + (1 - decay) * smallest
        if progress is not None:
            progress(step, fvu.item())
    return unscaled({name: p.detach() for name, p in parameters.items()}, threshold, scale)


def kept(
    positive: Float[Tensor, "row feature"], options: TrainingOptions
) -> tuple[Float[Tensor, "row feature"], float]:
    """Returns the activations that the budget keeps, and the smallest of them."""
    if not options.shared_budget:
        strongest = torch.topk(positive, options.k, dim=1)
        return torch.zeros_like(positive).scatter(1, strongest.indices, strongest.values), 0.0
    flat = positive.detach().flatten()
    budget = len(positive) * options.k
    smallest = max(flat.kthvalue(flat.numel() - budget + 1).values.item(), 1e-9)
    return positive * (positive.detach() >= smallest), smallest


def spread_rows(
    rows: Float[Tensor, "row d_model"], count: int, generator: torch.Generator, *, among: int = 16384
) -> Int[Tensor, " feature"]:
    """Returns indices of rows far from each other (k-means++ seeding), so that few features start out alike.

    Prompts repeat words: rows drawn evenly would start hundreds of features on the same few.
    """
    candidates = torch.randperm(len(rows), generator=generator)[: max(among, count)]
    points = rows[candidates]
    square = points.square().sum(1)
    nearest = torch.full((len(points),), math.inf)
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    for _ in range(count - 1):
        last = chosen[-1]
        nearest = torch.minimum(nearest, (square + square[last] - 2 * points @ points[last]).clamp_min(0))
        chosen.append(int(torch.multinomial(nearest + 1e-9, 1, generator=generator)))
    return candidates[torch.tensor(chosen)]


def restart(
    parameters: dict[str, Tensor],
    dead: Bool[Tensor, " feature"],
    read: Float[Tensor, "row d_model"],
    error: Float[Tensor, "row d_model"],
    activation: float,
    generator: torch.Generator,
) -> None:
    """Starts dead features anew, each on a badly explained row, where its first activation is the one given."""
    square = error.square().sum(1)
    rows = torch.multinomial(square, int(dead.sum()), replacement=True, generator=generator)
    parameters["W_enc"][dead] = read[rows] * activation / read[rows].square().sum(1, keepdim=True)
    parameters["b_enc"][dead] = 0
    parameters["W_dec"][dead] = torch.nn.functional.normalize(error[rows], dim=1)


def auxiliary_loss(
    pre: Float[Tensor, "row feature"],
    error: Float[Tensor, "row d_model"],
    W_dec: Float[Tensor, "feature d_model"],
    dead: Bool[Tensor, " feature"],
    options: TrainingOptions,
) -> Float[Tensor, ""]:
    """Returns how badly each row's strongest dead features explain its error, as a fraction of the error's size."""
    strongest = torch.topk(pre[:, dead], min(options.auxiliary_k, int(dead.sum())), dim=1)
    active = torch.zeros_like(pre[:, dead]).scatter(1, strongest.indices, strongest.values.relu())
    left = error.detach()
    return (left - active @ W_dec[dead]).square().sum() / left.square().sum().clamp_min(1e-12)


def unscaled(parameters: dict[str, Tensor], threshold: float, scale: Scaling) -> Transcoder:
    """Returns the transcoder in the model's own units, with decoder rows of norm 1."""
    W_enc = parameters["W_enc"] * scale.input_scale
    size = 1 / scale.output_scale
    return Transcoder(
        W_enc=W_enc * size,
        W_dec=parameters["W_dec"].clone(),
        b_enc=(parameters["b_enc"] - W_enc @ scale.input_mean) * size,
        b_dec=parameters["b_dec"] * size + scale.output_mean,
        threshold=torch.full_like(parameters["b_enc"], threshold * size),
    )
