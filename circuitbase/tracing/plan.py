"""What a trace will be called, known before it is made: the ids that keep a job from running twice."""

from dataclasses import dataclass

from circuitbase.errors import InputError
from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity, TracedPrompt
from circuitbase.schema import identity
from circuitbase.tracing.options import TRACER_VERSION, RoleTarget, TraceOptions

KIND = "features"


@dataclass(frozen=True)
class Plan:
    """The ids that the finished trace will have."""

    trace_id: str
    configuration_id: str
    prompt_id: str


def plan(
    model: ModelIdentity,
    dictionary: DictionaryIdentity,
    prompt: TracedPrompt,
    roles: tuple[RoleTarget, ...],
    options: TraceOptions,
) -> Plan:
    """Returns the ids of a trace to be made; raises InputError for roles that cannot be traced."""
    check_roles(roles, options=options, model=model)
    configuration = identity.configuration_id(
        kind=KIND,
        model_digest=model.digest,
        dictionary_digest=dictionary.digest,
        targets=options.request(roles),
        options=options.numeric(),
        dtype=options.dtype,
        tracer_version=TRACER_VERSION,
    )
    return Plan(
        trace_id=identity.trace_id(
            configuration=configuration,
            token_ids=prompt.token_ids,
            positions_without_nodes=prompt.positions_without_nodes,
            target_tokens=[list(pair) for pair in target_tokens(roles, options=options)],
        ),
        configuration_id=configuration,
        prompt_id=identity.prompt_id(tokenizer_digest=model.tokenizer_digest, token_ids=prompt.token_ids),
    )


def target_tokens(roles: tuple[RoleTarget, ...], *, options: TraceOptions) -> tuple[tuple[int, int | None], ...]:
    """Returns the (token, minus) pairs that the request names; none where the most probable tokens are asked for.

    What a prompt set says of a prompt's answer is no part of a trace of the probable tokens.
    """
    return tuple((role.token, role.minus) for role in roles) if options.target == "roles" else ()


def check_roles(roles: tuple[RoleTarget, ...], *, options: TraceOptions, model: ModelIdentity) -> None:
    """Raises InputError if role outputs are asked for and none is given, or one cannot be traced."""
    if options.target != "roles":
        return
    if not roles:
        raise InputError("the target `roles` needs an answer, and the prompt has none; give one, or ask for `probable`")
    names = [role.role for role in roles]
    if len(set(names)) < len(names):
        raise InputError(f"each role must be given once, got {', '.join(names)}")
    for role in roles:
        for token in (role.token, *([] if role.minus is None else [role.minus])):
            if not 0 <= token < model.d_vocab:
                raise InputError(f"the token of role {role.role} must be 0 to {model.d_vocab - 1}, got {token}")
        if role.token == role.minus:
            raise InputError(f"the role {role.role} must compare two tokens, got {role.token} twice")
