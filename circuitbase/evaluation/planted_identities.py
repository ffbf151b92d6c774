"""The model, dictionary and facts that planted traces name: none of them exists."""

from circuitbase.evaluation.background_graph import D_VOCAB, DatabaseSize
from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.scores import GraphScores
from circuitbase.graph.trace import (
    Counts,
    DictionaryIdentity,
    Facts,
    ModelIdentity,
    Scores,
    Target,
    TracedPrompt,
    TraceMetadata,
)
from circuitbase.schema.identity import sha256
from circuitbase.tracing.options import TRACER_VERSION, RoleTarget, TraceOptions

ROLE = "answer-distractor"
ANSWER, DISTRACTOR = 3, 4


def planted_model(size: DatabaseSize) -> ModelIdentity:
    """Returns the identity of a model that does not exist."""
    return ModelIdentity(
        name="planted",
        digest=sha256(["planted model", size.layers]),
        tokenizer_digest=sha256("planted tokenizer"),
        architecture="GPT2LMHeadModel",
        revision=None,
        n_layers=size.layers,
        d_model=16,
        d_vocab=D_VOCAB,
    )


def planted_dictionary(size: DatabaseSize, reserved: int) -> DictionaryIdentity:
    """Returns the identity of its dictionary, whose last `reserved` features are planted."""
    n_features = size.features + reserved
    return DictionaryIdentity(
        name="tc",
        digest=sha256(["planted dictionary", n_features]),
        model=planted_model(size).id,
        kind="transcoder_set",
        site="mlp",
        activation="jumprelu",
        n_features=n_features,
    )


def planted_metadata(
    graph: AttributionGraph,
    *,
    size: DatabaseSize,
    reserved: int,
    tokens: tuple[int, ...],
    scores: GraphScores,
    violation: float,
) -> TraceMetadata:
    """Returns all that a trace says beside its columns; nothing was pruned from what it knows."""
    role = RoleTarget(role=ROLE, token=ANSWER, minus=DISTRACTOR)
    options = TraceOptions(target="roles")
    strings = tuple(_token_string(token) for token in tokens)
    return TraceMetadata(
        kind="features",
        model=planted_model(size),
        dictionary=planted_dictionary(size, reserved),
        prompt=TracedPrompt(
            text="".join(strings[1:]), token_ids=tokens, token_strings=strings, positions_without_nodes=(0,)
        ),
        request=options.request((role,)),
        options=options.numeric(),
        dtype=options.dtype,
        tracer_version=TRACER_VERSION,
        targets=(
            Target(
                kind="role",
                token=ANSWER,
                token_string=_token_string(ANSWER),
                minus=DISTRACTOR,
                minus_string=_token_string(DISTRACTOR),
                role=ROLE,
                probability=0.75,
                weight=1.0,
            ),
        ),
        target_tokens=((ANSWER, DISTRACTOR),),
        scores=Scores(
            replacement=scores.replacement,
            completeness=scores.completeness,
            pruned_replacement=scores.replacement,
            pruned_completeness=scores.completeness,
            account_violation=0.0,
            stored_account_violation=violation,
        ),
        counts=Counts(nodes=graph.n_nodes, edges=graph.n_edges, active_features=len(graph.active_unit)),
        facts=Facts(
            top_token=ANSWER,
            top_token_string=_token_string(ANSWER),
            top_probability=0.75,
            answer_rank=1,
            correct=True,
            logit_difference=1.5,
        ),
    )


def _token_string(token: int) -> str:
    return "<bos>" if token == 0 else f" word{token}"
