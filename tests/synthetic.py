"""Small traces that need no model: consistent, sorted, with accounts that close.

Traces of different seeds share their units, model, dictionary and configuration, so that rollups
over them have something to sum.
"""

import math
from dataclasses import replace

import numpy as np

from circuitbase.graph.attribution_graph import ARRAY_DTYPES, PAIR_DTYPES, AttributionGraph
from circuitbase.graph.imported import Imported
from circuitbase.graph.influence import absolute_input, edge_influence, input_share, node_influence
from circuitbase.graph.scores import graph_scores
from circuitbase.graph.trace import (
    Counts,
    DictionaryIdentity,
    Facts,
    ModelIdentity,
    Scores,
    Target,
    Trace,
    TracedPrompt,
    TraceMetadata,
)
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind
from circuitbase.tracing.options import TRACER_VERSION, RoleTarget, TraceOptions

D_VOCAB = 60
MODEL_DIGEST = "ab" * 32
DICTIONARY_DIGEST = "cd" * 32
TOKENIZER_DIGEST = "ef" * 32
ROLE = RoleTarget(role="answer-distractor", token=3, minus=4)


def synthetic_model(*, n_layers: int = 3) -> ModelIdentity:
    """Returns the identity of a model that does not exist."""
    return ModelIdentity(
        name="synthetic",
        digest=MODEL_DIGEST,
        tokenizer_digest=TOKENIZER_DIGEST,
        architecture="GPT2LMHeadModel",
        revision=None,
        n_layers=n_layers,
        d_model=16,
        d_vocab=D_VOCAB,
    )


def synthetic_dictionary(model: ModelIdentity, *, n_features: int = 30) -> DictionaryIdentity:
    """Returns the identity of a dictionary for that model."""
    return DictionaryIdentity(
        name="tc",
        digest=DICTIONARY_DIGEST,
        model=model.id,
        kind="transcoder_set",
        site="mlp",
        activation="jumprelu",
        n_features=n_features,
    )


def token_string(token: int) -> str:
    """Returns what the synthetic tokenizer shows for a token id."""
    return "<bos>" if token == 0 else f" word{token}"


def synthetic_trace(
    seed: int,
    *,
    n_layers: int = 3,
    n_positions: int = 5,
    n_features: int = 30,
    active_per_position: int = 4,
    edge_probability: float = 0.5,
    options: TraceOptions = TraceOptions(),  # noqa: B008  # frozen
    token_ids: tuple[int, ...] | None = None,
) -> Trace:
    """Returns a trace drawn from `seed`; the same arguments always give the same trace.

    `options.target` decides between three probable tokens and one role output. A third of the active
    features have no node, as after pruning, and every target has lost something to `rest`.
    """
    random = np.random.default_rng(seed)
    if token_ids is None:
        token_ids = (0, *(int(token) for token in random.integers(1, D_VOCAB, n_positions - 1)))
    model = synthetic_model(n_layers=n_layers)
    targets = _targets(options, random)
    active = _active_features(
        random, n_layers=n_layers, n_positions=len(token_ids), n_features=n_features, per_position=active_per_position
    )
    nodes = _nodes(active, targets, token_ids=token_ids, n_layers=n_layers, random=random)
    edges = _edges(nodes, probability=edge_probability, random=random)
    graph = AttributionGraph(**_typed({**nodes, **edges, **_sums(nodes, edges, targets, random), **active}))
    return Trace(metadata=_metadata(model, graph, targets, token_ids, options, n_features), graph=graph)


def synthetic_traces(n: int, *, first_seed: int = 0, **arguments: object) -> list[Trace]:
    """Returns `n` traces with consecutive seeds, which share most of their units."""
    return [synthetic_trace(first_seed + k, **arguments) for k in range(n)]  # type: ignore[arg-type]


def with_arrays(trace: Trace, **arrays: np.ndarray) -> Trace:
    """Returns the trace with some of its columns replaced, consistent or not."""
    return replace(trace, graph=replace(trace.graph, **arrays))


def with_links(trace: Trace) -> Trace:
    """Returns the trace with two attention links of one head, each with three pairs and an account that closes."""
    graph = trace.graph
    tokens, features = (np.flatnonzero(graph.node_kind == kind) for kind in (NodeKind.INPUT_TOKEN, NodeKind.FEATURE))
    below = features[graph.node_layer[features] < trace.metadata.model.n_layers - 1]
    last = int(graph.node_position.max())
    keys = np.array([0, last])
    appended = {
        "node_kind": [int(NodeKind.ATTENTION_LINK)] * 2,
        "node_layer": [trace.metadata.model.n_layers - 1] * 2,
        "node_position": [last] * 2,
        "node_key_position": keys,
        "node_unit": [1, 1],
        "node_activation": [0.75, 0.25],
        "node_influence": [0.0, 0.0],
        "node_preactivation": [2.0, 1.0],
        "node_bias_effect": [0.5, 0.25],
        "node_rest": [0.5, 0.25],
        "node_absolute_input": [4.0, 2.0],
        "node_silent": [0, 0],
        "node_margin": [np.nan, np.nan],
    }
    columns = {
        name: np.concatenate([getattr(graph, name), np.array(values)]).astype(ARRAY_DTYPES[name])
        for name, values in appended.items()
    }
    pairs = {
        "pair_link": np.repeat(graph.n_nodes + np.arange(2), 3),
        "pair_query_node": [tokens[0], tokens[1], below[0]] * 2,
        "pair_key_node": [tokens[0]] * 6,
        "pair_score": [1.0, -0.5, 0.5, 0.25, 0.5, -0.25],
        "pair_attention": [0.5, -0.25, 0.25, 0.125, 0.25, -0.125],
    }
    columns |= {name: np.array(values).astype(PAIR_DTYPES[name]) for name, values in pairs.items()}
    return with_arrays(trace, **columns)


def without_account(trace: Trace) -> Trace:
    """Returns the trace as if it had been imported: what only an account knows is nan."""
    unknown = np.full(trace.graph.n_nodes, np.nan, dtype=np.float32)
    scores = replace(
        trace.metadata.scores,
        replacement=math.nan,
        completeness=math.nan,
        account_violation=math.nan,
        stored_account_violation=math.nan,
        kept_mass=math.nan,
    )
    imported = Imported(format="Neuronpedia JSON", stated={"slug": "a", "node_threshold": 0.8})
    graph = replace(trace.graph, node_preactivation=unknown, node_bias_effect=unknown, node_rest=unknown)
    return Trace(metadata=replace(trace.metadata, scores=scores, imported=imported), graph=graph)


def output_weight(trace: Trace) -> np.ndarray:
    """Returns w per node: the weight of a trace's outputs, 0 for every other node."""
    return _output_weight(trace.graph.node_kind, trace.graph.node_unit, trace.metadata.targets)


def account_violation(graph: AttributionGraph) -> float:
    """Returns the largest |Σ weight + rest + bias_effect − preactivation| over Σ|A| + |bias_effect|."""
    stored = np.bincount(graph.edge_target, weights=graph.edge_weight.astype(np.float64), minlength=graph.n_nodes)
    rest, bias, preactivation, total = (
        column.astype(np.float64)
        for column in (graph.node_rest, graph.node_bias_effect, graph.node_preactivation, graph.node_absolute_input)
    )
    return float(np.nanmax(np.abs(stored + rest + bias - preactivation) / (total + np.abs(bias))))


def _targets(options: TraceOptions, random: np.random.Generator) -> tuple[Target, ...]:
    if options.target == "roles":
        assert ROLE.minus is not None
        return (
            Target(
                kind="role",
                token=ROLE.token,
                token_string=token_string(ROLE.token),
                minus=ROLE.minus,
                minus_string=token_string(ROLE.minus),
                role=ROLE.role,
                probability=0.75,
                weight=1.0,
            ),
        )
    tokens = random.choice(np.arange(1, 8), size=3, replace=False)
    return tuple(
        Target(
            token=int(token),
            token_string=token_string(int(token)),
            minus=None,
            minus_string=None,
            role=None,
            probability=probability,
            weight=probability,
        )
        for token, probability in zip(tokens, (0.625, 0.25, 0.09375), strict=True)
    )


def _active_features(
    random: np.random.Generator, *, n_layers: int, n_positions: int, n_features: int, per_position: int
) -> dict[str, np.ndarray]:
    """Returns active features, a few of them common and most of them rare, at all positions but 0."""
    frequency = 1 / np.arange(1, n_features + 1)
    frequency /= frequency.sum()
    rows = [
        (layer, position, unit)
        for layer in range(n_layers)
        for position in range(1, n_positions)
        for unit in sorted(random.choice(n_features, size=per_position, replace=False, p=frequency))
    ]
    layer, position, unit = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "active_layer": layer,
        "active_position": position,
        "active_unit": unit,
        "active_value": random.uniform(0.1, 3, len(rows)),
    }


def _nodes(
    active: dict[str, np.ndarray],
    targets: tuple[Target, ...],
    *,
    token_ids: tuple[int, ...],
    n_layers: int,
    random: np.random.Generator,
) -> dict[str, np.ndarray]:
    last = len(token_ids) - 1
    rows = [(NodeKind.INPUT_TOKEN, -1, position, token, 1.0) for position, token in enumerate(token_ids)]
    features = list(zip(*(active[f"active_{name}"] for name in ("layer", "position", "unit", "value")), strict=True))
    traced = random.random(len(features)) < 2 / 3
    rows += [
        (NodeKind.FEATURE, layer, position, unit, value)
        for (layer, position, unit, value), keep in zip(features, traced, strict=True)
        if keep
    ]
    rows += [
        (NodeKind.LAYER_ERROR, layer, position, 0, 1.0) for layer in range(n_layers) for position in range(1, last + 1)
    ]
    rows += [
        (NodeKind.OUTPUT_TOKEN, n_layers, last, target.token, target.probability)
        if target.role is None
        else (NodeKind.OTHER_OUTPUT, n_layers, last, index, target.probability)
        for index, target in enumerate(targets)
    ]
    rows.sort(key=lambda row: tuple(int(value) for value in row[:4]))
    kind, layer, position, unit, activation = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "node_kind": kind,
        "node_layer": layer,
        "node_position": position,
        "node_key_position": np.full(len(rows), -1),
        "node_unit": unit,
        "node_activation": activation,
        "node_silent": np.zeros(len(rows)),
        "node_margin": np.full(len(rows), np.nan),
    }


def _edges(nodes: dict[str, np.ndarray], *, probability: float, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns edges from lower layers to features and outputs, never to an earlier position."""
    kind, layer, position = nodes["node_kind"], nodes["node_layer"], nodes["node_position"]
    is_source = ~np.isin(kind, OUTPUT_KINDS)
    is_target = np.isin(kind, (NodeKind.FEATURE, *OUTPUT_KINDS))
    possible = (
        is_target[:, None]
        & is_source[None, :]
        & (layer[None, :] < layer[:, None])
        & (position[None, :] <= position[:, None])
    )
    target, source = np.nonzero(possible & (random.random(possible.shape) < probability))
    return {
        "edge_source": source,
        "edge_target": target,
        "edge_port": np.zeros(len(source)),
        "edge_weight": random.normal(size=len(source)).astype(np.float32),
    }


def _sums(
    nodes: dict[str, np.ndarray],
    edges: dict[str, np.ndarray],
    targets: tuple[Target, ...],
    random: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Returns the account of every target, and the influences over the full absolute input."""
    kind, n_nodes = nodes["node_kind"], len(nodes["node_kind"])
    source, target, weight = edges["edge_source"], edges["edge_target"], edges["edge_weight"]
    is_target = np.isin(kind, (NodeKind.FEATURE, *OUTPUT_KINDS))
    rest, bias = (np.where(is_target, random.normal(size=n_nodes), np.nan).astype(np.float32) for _ in range(2))
    stored = np.bincount(target, weights=weight.astype(np.float64), minlength=n_nodes)
    total = absolute_input(target, weight, n_nodes=n_nodes) + np.abs(np.nan_to_num(rest)) + 0.5
    share = input_share(target, weight, total)
    w = _output_weight(kind, nodes["node_unit"], targets)
    influence = node_influence(source, target, share, w)
    return {
        "node_influence": influence,
        "node_preactivation": stored + rest + bias,
        "node_bias_effect": bias,
        "node_rest": rest,
        "node_absolute_input": np.where(is_target, total, np.nan),
        "edge_influence": edge_influence(target, share, w, influence),
    }


def _output_weight(kind: np.ndarray, unit: np.ndarray, targets: tuple[Target, ...]) -> np.ndarray:
    weight_of_token = {target.token: target.weight for target in targets if target.role is None}
    w = np.zeros(len(kind))
    for row in np.flatnonzero(kind == NodeKind.OUTPUT_TOKEN):
        w[row] = weight_of_token[int(unit[row])]
    for row in np.flatnonzero(kind == NodeKind.OTHER_OUTPUT):
        w[row] = targets[int(unit[row])].weight
    return w


def _typed(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(arrays[name]).astype(dtype) for name, dtype in ARRAY_DTYPES.items()}


def _metadata(
    model: ModelIdentity,
    graph: AttributionGraph,
    targets: tuple[Target, ...],
    token_ids: tuple[int, ...],
    options: TraceOptions,
    n_features: int,
) -> TraceMetadata:
    roles = (ROLE,) if options.target == "roles" else ()
    scores = graph_scores(
        graph.node_kind,
        graph.edge_source,
        graph.edge_target,
        graph.edge_weight,
        _output_weight(graph.node_kind, graph.node_unit, targets),
    )
    return TraceMetadata(
        kind="features",
        model=model,
        dictionary=synthetic_dictionary(model, n_features=n_features),
        prompt=TracedPrompt(
            text="".join(token_string(token) for token in token_ids[1:]),
            token_ids=token_ids,
            token_strings=tuple(token_string(token) for token in token_ids),
            positions_without_nodes=(0,),
        ),
        request=options.request(roles),
        options=options.numeric(),
        dtype=options.dtype,
        tracer_version=TRACER_VERSION,
        targets=targets,
        target_tokens=tuple((role.token, role.minus) for role in roles),
        scores=Scores(
            replacement=scores.replacement,
            completeness=scores.completeness,
            pruned_replacement=scores.replacement,
            pruned_completeness=scores.completeness,
            account_violation=0.0,
            stored_account_violation=account_violation(graph),
        ),
        counts=Counts(nodes=2 * graph.n_nodes, edges=4 * graph.n_edges, active_features=len(graph.active_unit)),
        facts=Facts(
            top_token=targets[0].token,
            top_token_string=targets[0].token_string,
            top_probability=targets[0].probability,
            answer_rank=1 if roles else None,
            correct=True if roles else None,
            logit_difference=1.5 if roles else None,
        ),
    )
