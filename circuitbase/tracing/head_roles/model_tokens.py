"""What head roles need of a model's tokenizer: the vocabulary, tokens to draw from, prompts with their answers."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.store.prompt_line import BadLine, PromptLine
from circuitbase.tracing.head_roles.answer_prompts import AnswerPrompt, with_roles_exchanged
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.random_tokens import TokenPool
from circuitbase.tracing.tokenizing import PromptTokenizer


def vocabulary(tokenizer: PromptTokenizer) -> Int[Tensor, " token"]:
    """Returns the tokens that have a text and are not special; a model's matrices may have further rows."""
    n_tokens = min(tokenizer.n_tokens, tokenizer.config.d_vocab)
    left_out = tokenizer.special_tokens
    return torch.tensor(
        [token for token in range(n_tokens) if token not in left_out and not tokenizer.is_unknown(token)]
    )


def token_pool(
    tokenizer: PromptTokenizer, options: HeadRoleOptions, *, only: Sequence[Sequence[int]] = ()
) -> TokenPool:
    """Returns the vocabulary, or those of its tokens that occur in `only`, as tokens to draw random sequences from.

    Raises InputError if the model reads fewer positions than the longest sequence has.
    """
    before = tokenizer.bos_token if tokenizer.expects_bos else None
    longest = options.longest + (0 if before is None else 1)
    if longest > tokenizer.config.n_positions:
        raise InputError(
            f"the longest random sequence has {longest} tokens, but the model reads at most "
            f"{tokenizer.config.n_positions}; give shorter periods and a smaller length"
        )
    tokens = vocabulary(tokenizer)
    if only:
        wanted = torch.tensor(sorted({token for some in only for token in some}))
        tokens = tokens[torch.isin(tokens, wanted)]
    return TokenPool(tokens, before)


def answer_prompts(
    lines: Iterable[PromptLine | BadLine], tokenizer: PromptTokenizer, *, source: str
) -> list[AnswerPrompt]:
    """Returns the prompts of a prompt file, each with its answer and, where it can be made, its corrupted prompt.

    Raises InputError that names every line that cannot be used.
    """
    found: list[AnswerPrompt] = []
    problems: list[str] = []
    for line in lines:
        problem = line.problem if isinstance(line, BadLine) else None
        if isinstance(line, PromptLine):
            try:
                found.append(_answer_prompt(line, tokenizer))
            except InputError as error:
                problem = str(error)
        if problem is not None:
            problems.append(f"line {line.number}: {problem}")
    if problems:
        raise InputError(f"{source} should hold prompts with an answer; correct {'; '.join(problems)}")
    if not found:
        raise InputError(f"{source} holds no prompt; write one a line, with an answer")
    return found


def _answer_prompt(line: PromptLine, tokenizer: PromptTokenizer) -> AnswerPrompt:
    if line.answer is None:
        raise InputError("it has no answer")
    read = tokenizer.read(line.prompt if line.prompt is not None else list(line.tokens or ()))
    return with_roles_exchanged(
        AnswerPrompt(
            tokens=tuple(read.token_ids),
            answers=(tokenizer.one_token(line.answer),),
            distractors=() if line.distractor is None else (tokenizer.one_token(line.distractor),),
        )
    )
