"""Tracing: from a prompt's tokens to its attribution graph (Ameisen et al. 2025; methods.md section 1)."""

from collections.abc import Iterator, Sequence

import torch

from circuitbase.graph.trace import Counts, Trace, TracedPrompt, TraceMetadata
from circuitbase.tracing.assembly import assemble
from circuitbase.tracing.dictionaries import Dictionary, check_fits
from circuitbase.tracing.effects import direct_effects
from circuitbase.tracing.frozen import freeze
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.nodes import node_table
from circuitbase.tracing.options import TRACER_VERSION, RoleTarget, TraceOptions
from circuitbase.tracing.outputs import chosen_outputs, facts
from circuitbase.tracing.plan import KIND, check_roles, target_tokens
from circuitbase.tracing.replacement import ReplacedMlp, replaced_mlps
from circuitbase.tracing.run import run_prompt
from circuitbase.tracing.writers import writers


@torch.no_grad()
def trace(
    model: TracedModel,
    dictionary: Dictionary,
    prompt: TracedPrompt,
    options: TraceOptions,
    *,
    roles: tuple[RoleTarget, ...] = (),
) -> Trace:
    """Returns the attribution graph of one prompt, computed alone, in memory.

    `roles` are the outputs where `options.target` is `roles`, and have no part in a trace of the
    probable tokens. Raises InputError if model, dictionary, options and roles do not go together.
    """
    check_fits(model, dictionary, dtype=options.dtype)
    check_roles(roles, options=options, model=model.identity)
    asked = roles if options.target == "roles" else ()

    run = run_prompt(model, prompt)
    frozen = freeze(model, dictionary, run)
    mlps = replaced_mlps(dictionary, frozen, run, without_nodes=prompt.positions_without_nodes)
    outputs = chosen_outputs(model, run.logits, options=options, roles=asked)
    nodes = node_table(mlps, outputs, prompt)
    effects = direct_effects(frozen, writers(nodes, mlps, run), mlps, outputs, nodes)
    assembled = assemble(nodes, effects, mlps, options=options)
    counts = Counts(nodes=len(nodes), edges=len(effects.source), active_features=sum(mlp.n_active for mlp in mlps))
    return Trace(
        metadata=TraceMetadata(
            kind=KIND,
            model=model.identity,
            dictionary=dictionary.identity,
            prompt=prompt,
            request=options.request(asked),
            options=options.numeric(),
            dtype=options.dtype,
            tracer_version=TRACER_VERSION,
            targets=outputs.targets,
            target_tokens=target_tokens(asked, options=options),
            scores=assembled.scores,
            counts=counts,
            facts=facts(model, run.logits, roles=asked),
            warnings=tuple(_warnings(model, prompt, mlps)),
        ),
        graph=assembled.graph,
    )


def _warnings(model: TracedModel, prompt: TracedPrompt, mlps: Sequence[ReplacedMlp]) -> Iterator[str]:
    unknown = [place for place, token in enumerate(prompt.token_ids) if model.tokenizer.is_unknown(token)]
    if unknown:
        places = ", ".join(map(str, unknown))
        yield f"the tokenizer does not know the text at position {places}, so the model reads it as unknown"
    unexplained = {layer: mlp.unexplained for layer, mlp in enumerate(mlps) if mlp.unexplained > 1}
    if unexplained:
        found = ", ".join(f"{fraction:.3g} in layer {layer}" for layer, fraction in unexplained.items())
        yield (
            f"the dictionary explains less than nothing of this prompt (fraction of variance unexplained: {found}); "
            "check that it was made for this model and reads where it was trained to"
        )
