"""The second pass from local to global: edges measured again in every trace, unpruned (methods.md section 3).

Pruning hides edges, and not at random: those that survive are the strong ones. Measured again, an edge is 0 only where
one of its units was inactive, so that means, signs and intervals are those of the mechanism and not of the pruning.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from circuitbase.errors import InputError
from circuitbase.graph.cluster_bootstrap import bootstrapped_means
from circuitbase.graph.trace import Trace
from circuitbase.queries.intervals import Interval, wilson
from circuitbase.queries.observed_edges import Edge
from circuitbase.queries.selection import Selection
from circuitbase.queries.trace_streaming import Heard
from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.dictionaries import Dictionary
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.pairs import UnitKey, pair_effects
from circuitbase.tracing.targets import RoleTarget

SAMPLES = 1_000

_FEATURE = re.compile(r"(?P<dictionary>.+)/[^/]+/L(?P<layer>\d+)/F(?P<index>\d+)")
_ERROR = re.compile(r"(?P<dictionary>.+)/[^/]+/L(?P<layer>\d+)/error")
_TOKEN = re.compile(r"[^@]+@[0-9a-f]{8}/(?P<side>in|out)/(?P<index>\d+)")
_ROLE = re.compile(r"[^@]+@[0-9a-f]{8}/role/(?P<role>.+)")


@dataclass(frozen=True)
class CompletedEdge:
    """One edge over all traces. `traced` counts those that hold it after pruning, `active` those where both units act.

    Means are over all traces, 0 where a unit is inactive; weights and shares are summed over position pairs. Sign
    agreement is over the traces in which the edge is not 0.
    """

    edge: Edge
    traces: int
    traced: int
    active: int
    mean_weight: Interval
    mean_share: Interval
    sign_agreement: Interval

    @property
    def kept(self) -> float | None:
        """Returns the share of the traces with the edge that pruning left it in; None where no trace has it."""
        return self.traced / self.active if self.active else None


def completed_edges(
    store: TraceStore,
    selection: Selection,
    edges: Sequence[Edge],
    *,
    model: TracedModel,
    dictionary: Dictionary,
    seed: int = 0,
    heard: Heard | None = None,
) -> tuple[CompletedEdge, ...]:
    """Returns the edges measured again in every trace of a selection, intervals by cluster.

    Raises InputError for a model or dictionary other than the traces', and for units that cannot be measured again;
    errors of the store where a trace's file is gone.
    """
    shape = (len(selection.traces), len(edges))
    weight, share, traced, active = (np.zeros(shape) for _ in range(4))
    for row, selected in enumerate(selection.traces):
        trace = store.load(selected.id)
        _check_alike(trace, model, dictionary)
        targets = _targets(trace)
        pairs = [(unit_key(source, trace), unit_key(target, trace)) for source, target, _ in edges]
        found = pair_effects(model, dictionary, trace.metadata.prompt, _options(trace), pairs=pairs, targets=targets)
        weight[row] = np.bincount(found.pair, weights=found.weight, minlength=len(edges))
        shares = np.divide(
            np.abs(found.weight), found.absolute_input, out=np.zeros(len(found.weight)), where=found.absolute_input > 0
        )
        share[row] = np.bincount(found.pair, weights=shares, minlength=len(edges))
        active[row] = np.bincount(found.pair, weights=found.weight != 0, minlength=len(edges)) > 0
        there = _edges_of(trace)
        traced[row] = [edge in there for edge in edges]
        if heard is not None:
            heard(row + 1, len(selection.traces))
    clusters = np.array(selection.clusters)
    weights, shares = (bootstrapped_means(each, clusters, samples=SAMPLES, seed=seed) for each in (weight, share))
    return tuple(
        CompletedEdge(
            edge=edge,
            traces=len(selection.traces),
            traced=int(traced[:, number].sum()),
            active=int(active[:, number].sum()),
            mean_weight=Interval(*(float(each[number]) for each in (weights.mean, weights.low, weights.high))),
            mean_share=Interval(*(float(each[number]) for each in (shares.mean, shares.low, shares.high))),
            sign_agreement=_agreement(weight[:, number]),
        )
        for number, edge in enumerate(edges)
    )


def unit_key(unit: str, trace: Trace) -> UnitKey:
    """Returns how the tracer names a unit; raises InputError for one that is no part of feature traces."""
    n_layers = trace.metadata.model.n_layers
    if found := _FEATURE.fullmatch(unit):
        return UnitKey(NodeKind.FEATURE, int(found["layer"]), int(found["index"]))
    if found := _ERROR.fullmatch(unit):
        return UnitKey(NodeKind.LAYER_ERROR, int(found["layer"]), 0)
    if found := _TOKEN.fullmatch(unit):
        if found["side"] == "in":
            return UnitKey(NodeKind.INPUT_TOKEN, -1, int(found["index"]))
        return UnitKey(NodeKind.OUTPUT_TOKEN, n_layers, int(found["index"]))
    if found := _ROLE.fullmatch(unit):
        roles = [target.role for target in trace.metadata.targets]
        if found["role"] in roles:
            return UnitKey(NodeKind.OTHER_OUTPUT, n_layers, roles.index(found["role"]))
    raise InputError(
        f"{unit} cannot be measured again: features, errors, tokens and outputs by role can; leave out the others, "
        "or the relabelling by role or group"
    )


def _options(trace: Trace) -> TraceOptions:
    request = trace.metadata.request
    limits = {name: request[name] for name in ("max_outputs", "output_probability") if name in request}
    return TraceOptions(target=request["kind"], prune=False, dtype=trace.metadata.dtype, **limits)  # type: ignore[arg-type]


def _targets(trace: Trace) -> tuple[RoleTarget, ...]:
    return tuple(
        RoleTarget(role=target.role, token=int(target.token or 0), minus=target.minus)
        for target in trace.metadata.targets
        if target.kind == "role" and target.role is not None
    )


def _edges_of(trace: Trace) -> set[Edge]:
    graph = trace.graph
    keys = list(zip(graph.node_kind.tolist(), graph.node_layer.tolist(), graph.node_unit.tolist(), strict=True))
    names = {key: trace.unit_id(NodeKind(key[0]), key[1], key[2]) for key in set(keys)}
    ids = [names[key] for key in keys]
    return {
        (ids[source], ids[target], port)
        for source, target, port in zip(
            graph.edge_source.tolist(), graph.edge_target.tolist(), graph.edge_port.tolist(), strict=True
        )
    }


def _check_alike(trace: Trace, model: TracedModel, dictionary: Dictionary) -> None:
    traced = trace.metadata.dictionary
    if traced is None or trace.metadata.model.id != model.identity.id or traced.id != dictionary.identity.id:
        of = traced.id if traced else f"{trace.metadata.model.id} without a dictionary"
        raise InputError(
            f"the traces are of {of}, but the model and dictionary given are {dictionary.identity.id}; give those that "
            "were traced"
        )


def _agreement(weight: np.ndarray) -> Interval:
    positive, negative = int((weight > 0).sum()), int((weight < 0).sum())
    return wilson(max(positive, negative), positive + negative)
