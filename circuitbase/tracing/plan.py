"""What a trace will be called, known before it is made: the ids that keep a job from running twice."""

from dataclasses import dataclass

from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity, TracedPrompt
from circuitbase.schema import identity
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.component_request import component_prompt
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.targets import AskedTarget, check_targets


@dataclass(frozen=True)
class Plan:
    """The ids that the finished trace will have."""

    trace_id: str
    configuration_id: str
    prompt_id: str


def plan(
    model: ModelIdentity,
    dictionary: DictionaryIdentity | None,
    prompt: TracedPrompt,
    targets: tuple[AskedTarget, ...],
    options: TraceOptions | ComponentOptions,
) -> Plan:
    """Returns the ids of a trace to be made; raises InputError for targets that cannot be traced.

    A component trace needs no dictionary.
    """
    if options.kind == ComponentOptions.kind:
        prompt = component_prompt(prompt)
    check_targets(targets, kind=options.target, model=model)
    asked = asked_targets(targets, options=options)
    configuration = identity.configuration_id(
        kind=options.kind,
        model_digest=model.digest,
        dictionary_digest=dictionary.digest if dictionary else None,
        targets=options.request(asked),
        options=options.numeric(),
        dtype=options.dtype,
        tracer_version=options.tracer_version,
    )
    return Plan(
        trace_id=identity.trace_id(
            configuration=configuration,
            token_ids=prompt.token_ids,
            positions_without_nodes=prompt.positions_without_nodes,
            target_tokens=[list(target.identity) for target in asked],
        ),
        configuration_id=configuration,
        prompt_id=identity.prompt_id(tokenizer_digest=model.tokenizer_digest, token_ids=prompt.token_ids),
    )


def asked_targets(
    targets: tuple[AskedTarget, ...], *, options: TraceOptions | ComponentOptions
) -> tuple[AskedTarget, ...]:
    """Returns the targets that the request names; none where the most probable tokens are asked for.

    What a prompt set says of a prompt's answer is no part of a trace of the probable tokens.
    """
    return () if options.target == "probable" else targets
