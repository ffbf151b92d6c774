"""What is to be known of an imported trace beside its arrays."""

from dataclasses import replace

from circuitbase.errors import GraphFileError
from circuitbase.graph.trace import Facts, Target, TracedPrompt, TraceMetadata
from circuitbase.ingest.foreign.cutting import CutGraph, Cutting
from circuitbase.ingest.foreign.foreign_graph import ForeignGraph, Output
from circuitbase.ingest.foreign.naming import Named, Naming
from circuitbase.schema.identity import sha256

IMPORTER_VERSION = 1  # raised when the same file gives other numbers


def imported_metadata(
    graph: ForeignGraph, whom: Named, cut: CutGraph, *, naming: Naming, cutting: Cutting, name: str
) -> TraceMetadata:
    """Returns the metadata of the trace that a foreign graph makes; errors call its file `name`."""
    strings = graph.token_strings
    warnings = graph.warnings
    outputs = graph.outputs
    if naming.token_string is not None:
        strings = tuple(naming.token_string(token) for token in graph.token_ids)
        outputs = tuple(_with_string(output, naming) for output in outputs)
        warnings = tuple(each for each in warnings if "no token strings" not in each)
    top = max(outputs, key=lambda output: output.probability)
    options = {"imported": graph.imported.format, "prune": cutting.prune if graph.is_whole else True, **graph.options}
    if graph.is_whole and cutting.prune:
        options |= {"node_threshold": cutting.node_threshold, "edge_threshold": cutting.edge_threshold}
    return TraceMetadata(
        kind="features",
        model=whom.model,
        dictionary=whom.dictionary,
        prompt=TracedPrompt(
            text=graph.text,
            token_ids=graph.token_ids,
            token_strings=strings,
            positions_without_nodes=graph.positions_without_nodes,
        ),
        request={"kind": "imported", **graph.request},
        options=options,
        dtype="float32",
        tracer_version=IMPORTER_VERSION,
        targets=_own_targets(graph, name=name) or tuple(_target(output) for output in outputs),
        # what it ends in is not decided by the configuration, as that of a trace of ours is
        target_tokens=tuple((output.token, output.position) for output in outputs),
        scores=cut.scores,
        counts=cut.counts,
        facts=Facts(top_token=top.token, top_token_string=top.string, top_probability=top.probability),
        warnings=(*whom.warnings, *warnings),
        imported=graph.imported,
    )


def _with_string(output: Output, naming: Naming) -> Output:
    if output.is_custom or naming.token_string is None:
        return output
    return replace(output, string=naming.token_string(output.token))


def _own_targets(graph: ForeignGraph, *, name: str) -> tuple[Target, ...]:
    """Returns the targets of the trace that a file of ours was made of; empty if another tool wrote it."""
    found = (graph.own or {}).get("targets", [])
    try:
        targets = tuple(Target(**target) for target in found)
        named = [target.token if target.kind == "token" else None for target in targets]
    except TypeError as error:
        raise _not_ours(name, str(error)) from error
    if found and named != [None if output.is_custom else output.token for output in graph.outputs]:
        raise _not_ours(name, "its targets are not its logit nodes")
    return targets


def _not_ours(name: str, reason: str) -> GraphFileError:
    return GraphFileError(
        f"{name} says that circuitbase wrote it, but its `metadata.circuitbase` does not fit ({reason}); "
        "export it again, or remove that entry"
    )


def _target(output: Output) -> Target:
    if output.is_custom:
        return Target(
            kind="direction",
            weight=output.weight,
            position=output.position,
            probability=output.probability,
            name=output.string,
            digest=sha256({"imported direction": output.string}),
        )
    return Target(
        weight=output.weight,
        position=output.position,
        token=output.token,
        token_string=output.string,
        probability=output.probability,
    )
