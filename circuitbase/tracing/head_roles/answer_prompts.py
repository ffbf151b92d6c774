"""Prompts with an answer, and where they have one, a corrupted prompt of the same length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.head_roles.ov_circuit import pulled_through

BATCH_SIZE = 32


@dataclass(frozen=True)
class AnswerPrompt:
    """Token ids of a prompt, of the answers that are right after it and of those that are wrong (there may be none).

    `corrupted` is a prompt of the same length after which something else is right. Raises InputError for one of
    another length.
    """

    tokens: tuple[int, ...]
    answers: tuple[int, ...]
    distractors: tuple[int, ...] = ()
    corrupted: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.tokens or not self.answers:
            raise InputError("a prompt to measure heads on needs tokens and an answer, and lacks one; give both")
        if self.corrupted is not None and len(self.corrupted) != len(self.tokens):
            raise InputError(
                f"a prompt and its corrupted one must have the same length, but have {len(self.tokens)} and "
                f"{len(self.corrupted)} tokens; replace tokens one by one"
            )

    @property
    def shows_answer(self) -> bool:
        """Returns whether an answer stands in the prompt, so that a head can look at it."""
        return any(token in self.answers for token in self.tokens)


def with_roles_exchanged(prompt: AnswerPrompt) -> AnswerPrompt:
    """Returns the prompt with a corrupted one, if it has none and one can be made from it.

    The last of two or more occurrences of its one distractor becomes its one answer, as in "when Tom and Ann went to
    the park, Ann gave a ring to": now Ann is right. Other prompts are returned as they are.
    """
    if prompt.corrupted is not None or len(prompt.answers) != 1 or len(prompt.distractors) != 1:
        return prompt
    places = [place for place, token in enumerate(prompt.tokens) if token == prompt.distractors[0]]
    if len(places) < 2 or not prompt.shows_answer:
        return prompt
    last = places[-1]
    return replace(prompt, corrupted=(*prompt.tokens[:last], prompt.answers[0], *prompt.tokens[last + 1 :]))


def batches(prompts: Sequence[AnswerPrompt], *, batch_size: int = BATCH_SIZE) -> Iterator[list[AnswerPrompt]]:
    """Yields prompts of one length together, at most so many, so that none needs padding."""
    for length in sorted({len(prompt.tokens) for prompt in prompts}):
        alike = [prompt for prompt in prompts if len(prompt.tokens) == length]
        for first in range(0, len(alike), batch_size):
            yield alike[first : first + batch_size]


def token_ids(prompts: Sequence[AnswerPrompt]) -> Int[Tensor, "batch position"]:
    """Returns the token ids of prompts of one length."""
    return torch.tensor([prompt.tokens for prompt in prompts])


def at_answers(
    pattern: Float[Tensor, "batch head key"], prompts: Sequence[AnswerPrompt]
) -> Float[Tensor, "batch head"]:
    """Returns the attention that reaches the answers, at all of their positions together."""
    there = [[token in prompt.answers for token in prompt.tokens] for prompt in prompts]
    return (pattern * torch.tensor(there, device=pattern.device)[:, None]).sum(-1)


def answer_directions(model: ComponentModel, prompts: Sequence[AnswerPrompt]) -> Float[Tensor, "batch d_model"]:
    """Returns the directions before the final norm that raise the answers' mean logit over the distractors'.

    Without distractors, over the mean of all tokens. The norm's denominator is left out.
    """
    W_U = model.W_U
    everything = W_U.mean(0)
    against = [W_U[list(prompt.distractors)].mean(0) if prompt.distractors else everything for prompt in prompts]
    rows = torch.stack([W_U[list(prompt.answers)].mean(0) for prompt in prompts]) - torch.stack(against)
    return pulled_through(model.final_norm, rows)
