"""The roles of a loaded model's heads."""

from collections.abc import Sequence

from circuitbase.errors import InputError
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.pairs import Pair, check_answers
from circuitbase.tracing.head_roles.answer_prompts import AnswerPrompt
from circuitbase.tracing.head_roles.measuring import head_roles
from circuitbase.tracing.head_roles.model_tokens import token_pool, vocabulary
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.ordered_lists import ordered_lists
from circuitbase.tracing.head_roles.roles import HeadRoles
from circuitbase.tracing.models import TracedModel


def model_head_roles(
    model: TracedModel,
    *,
    prompts: Sequence[AnswerPrompt] = (),
    draw_from_prompts: bool = False,
    options: HeadRoleOptions | None = None,
) -> HeadRoles:
    """Returns every head's scores; name movers and S-inhibition are measured on `prompts`.

    Random sequences are drawn from the vocabulary, or with `draw_from_prompts` from the tokens of the prompts alone:
    for a model that was trained on little, most sequences of its vocabulary are nothing it has seen. Raises
    InputError for prompts or options that the model cannot read.
    """
    options = options or HeadRoleOptions()
    tokenizer = model.tokenizer
    if draw_from_prompts and not prompts:
        raise InputError("random tokens are to be drawn from the prompts, but there are none; give prompts or pairs")
    longest = max((len(prompt.tokens) for prompt in prompts), default=0)
    if longest > tokenizer.config.n_positions:
        raise InputError(
            f"a prompt has {longest} tokens, but the model reads at most {tokenizer.config.n_positions}; shorten it"
        )
    only = [prompt.tokens for prompt in prompts] if draw_from_prompts else []
    return head_roles(
        component_model(model),
        token_pool(tokenizer, options, only=only),
        vocabulary=vocabulary(tokenizer),
        lists=ordered_lists(tokenizer),
        prompts=prompts,
        options=options,
    )


def prompts_of_pairs(pairs: Sequence[Pair]) -> list[AnswerPrompt]:
    """Returns pairs as prompts with an answer; raises InputError if one has no correct and wrong tokens."""
    check_answers(pairs, metric="the score of name movers")
    return [AnswerPrompt(pair.clean, pair.correct, pair.wrong, corrupted=pair.corrupted) for pair in pairs]
