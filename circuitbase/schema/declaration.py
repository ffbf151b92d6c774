"""The schema: every label, relationship type and property that the database may hold.

The one source of constraints, indexes, write statements, row checks and `docs/schema.md`.
"""

from dataclasses import dataclass

from circuitbase.schema.kinds import UNIT_LABELS

SCHEMA_VERSION = 3


@dataclass(frozen=True)
class Property:
    """One property: its Cypher type, what it means, and whether every row must have it."""

    name: str
    type: str
    meaning: str
    required: bool = True


@dataclass(frozen=True)
class NodeLabel:
    """One node label. `key` is unique; `indexes` are tuples of property names."""

    name: str
    meaning: str
    properties: tuple[Property, ...]
    key: str | None = None
    indexes: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class RelationshipType:
    """One relationship type from `start` to `end`. `open` ones also take a prompt set's labels."""

    name: str
    start: str
    end: str
    meaning: str
    properties: tuple[Property, ...] = ()
    key: str | None = None
    indexes: tuple[tuple[str, ...], ...] = ()
    open: bool = False


def _p(name: str, type: str, meaning: str) -> Property:
    return Property(name, type, meaning)


def _optional(name: str, type: str, meaning: str) -> Property:
    return Property(name, type, meaning, required=False)


NODES: tuple[NodeLabel, ...] = (
    NodeLabel(
        "Schema",
        "the version of this schema that the database was brought to; one node",
        (
            _p("name", "STRING", "always `circuitbase`"),
            _p("version", "INTEGER", "number of the last migration"),
        ),
        key="name",
    ),
    NodeLabel(
        "Model",
        "a language model, by content",
        (
            _p("id", "STRING", "name and first eight hex digits of the digest"),
            _p("name", "STRING", "name of its folder or hub repository"),
            _p("digest", "STRING", "SHA-256 of configuration and weights; of the name if only imported"),
            _optional("revision", "STRING", "hub commit"),
            _p("architecture", "STRING", "Hugging Face class, such as GPT2LMHeadModel; `unknown` if never said"),
            _p("n_layers", "INTEGER", "number of blocks"),
            _p("d_model", "INTEGER", "width of the residual stream; 0 if an imported graph does not say"),
            _p("d_vocab", "INTEGER", "size of the vocabulary; 0 if an imported graph does not say"),
        ),
        key="id",
    ),
    NodeLabel(
        "Dictionary",
        "a dictionary (transcoders or SAEs of all layers), by content",
        (
            _p("id", "STRING", "model id, name and first eight hex digits of the digest"),
            _p("name", "STRING", "name of its folder"),
            _p("digest", "STRING", "SHA-256 of configuration and weights; of the name if only imported"),
            _p("kind", "STRING", "`transcoder_set`, `cross_layer_transcoder` or `sae_set`; `unknown` if never said"),
            _p(
                "site", "STRING", "what it replaces: `mlp`, or for SAEs what they read: `mlp_out`, `attn_out`, `attn_z`"
            ),
            _p("activation", "STRING", "relu, jumprelu (also Gated and BatchTopK), topk, groupmax or unknown"),
            _p("n_features", "INTEGER", "features per layer; 0 if an imported graph does not say"),
        ),
        key="id",
    ),
    NodeLabel(
        "Unit",
        "a part of a model that recurs across prompts; carries a label for its kind "
        f"({', '.join(UNIT_LABELS)}) and, where it has a layer, one such as L05",
        (
            _p("id", "STRING", "identity; never holds a position or a prompt"),
            _p("name", "STRING", "short form that people read"),
            _p("kind", "STRING", "same as the second label"),
            _p("index", "INTEGER", "feature, token, head or neuron index; 0 where there is only one"),
            _optional("layer", "INTEGER", "layer, for units that have one"),
            _optional("token", "STRING", "text of the token, for token units"),
            _optional("label", "STRING", "what the unit stands for, as labelled automatically or by a person"),
        ),
        key="id",
        indexes=(("kind", "layer"), ("name",)),
    ),
    NodeLabel(
        "Prompt",
        "what a model reads: token ids under a tokenizer",
        (
            _p("id", "STRING", "SHA-256 of tokenizer digest and token ids"),
            _optional("text", "STRING", "the text, where one was given"),
            _p("token_ids", "LIST<INTEGER>", "token ids, begin-of-sequence included"),
            _p("tokens", "LIST<STRING>", "token strings"),
            _p("n_tokens", "INTEGER", "number of tokens"),
        ),
        key="id",
    ),
    NodeLabel(
        "PromptSet",
        "a named set of prompts",
        (_p("name", "STRING", "name"), _p("created_at", "ZONED DATETIME", "when it was first submitted")),
        key="name",
    ),
    NodeLabel(
        "Configuration",
        "what traces must share to be summed together",
        (
            _p("id", "STRING", "SHA-256 of everything below"),
            _p("name", "STRING", "short form that people read, unique by its last eight hex digits"),
            _p("kind", "STRING", "`features` or `components`"),
            _p("target", "STRING", "target request as JSON, without token ids"),
            _p("options", "STRING", "numeric options as JSON"),
            _p("dtype", "STRING", "number format of the computation"),
            _p("tracer_version", "INTEGER", "raised when numbers change"),
        ),
        key="id",
        indexes=(("name",),),
    ),
    NodeLabel(
        "Trace",
        "one prompt's attribution graph under one configuration",
        (
            _p("id", "STRING", "SHA-256 of configuration, tokens and targets"),
            _p("array_digest", "STRING", "SHA-256 of the trace file's arrays"),
            _p("stored_at", "ZONED DATETIME", "when it was stored"),
            _p("n_nodes", "INTEGER", "trace nodes stored"),
            _p("n_edges", "INTEGER", "edges stored"),
            _p("n_active", "INTEGER", "active features, traced or not; if `unproven`, those that the file has"),
            _p("n_nodes_before_pruning", "INTEGER", "trace nodes of the unpruned graph, or of the imported one"),
            _p("n_edges_before_pruning", "INTEGER", "edges of the unpruned graph, or of the imported one"),
            _optional("unproven", "BOOLEAN", "true if it was imported and so has no account; no others have it"),
            _optional(
                "replacement_score",
                "FLOAT",
                "of the unpruned graph (methods.md section 2); none if it was pruned before it was imported",
            ),
            _optional("completeness_score", "FLOAT", "of the unpruned graph; none where that is unknown"),
            _p("pruned_replacement_score", "FLOAT", "of the stored graph"),
            _p("pruned_completeness_score", "FLOAT", "of the stored graph"),
            _optional(
                "account_violation",
                "FLOAT",
                "largest violation of the account, unpruned, as traced; none if `unproven`",
            ),
            _optional("stored_account_violation", "FLOAT", "the same for the stored float32 graph with `rest`"),
            _p("top_token", "STRING", "most probable next token"),
            _p("top_probability", "FLOAT", "its probability"),
            _optional("answer_rank", "INTEGER", "rank of the answer, 1 is top, where a role names one"),
            _optional("correct", "BOOLEAN", "whether the answer is the top token"),
            _optional("logit_difference", "FLOAT", "logit of the answer minus logit of the distractor"),
        ),
        key="id",
    ),
    NodeLabel(
        "TraceNode",
        "one unit at one token position in one prompt; belongs to exactly one trace",
        (
            _p("index", "INTEGER", "place in the trace file"),
            _p("layer", "INTEGER", "-1 for input tokens, number of layers for outputs"),
            _p("position", "INTEGER", "token position; -1 where positions are summed"),
            _optional("token", "STRING", "token string at the position"),
            _optional("key_position", "INTEGER", "position that is looked at; attention links only"),
            _p(
                "activation",
                "FLOAT",
                "feature activation; probability for outputs; attention weight for links; size of what a head or MLP "
                "writes; 1 for tokens and errors",
            ),
            _p("influence", "FLOAT", "total influence on the outputs"),
            _optional(
                "preactivation",
                "FLOAT",
                "what the account must close to, in component traces what is read times its gradient; targets only",
            ),
            _optional("bias_effect", "FLOAT", "constants' part of the pre-activation; targets only"),
            _optional("rest", "FLOAT", "signed sum of what pruning took away; targets only"),
            _optional("absolute_input", "FLOAT", "sum of |weight| before pruning; targets only"),
            _p("silent", "BOOLEAN", "whether the feature was expected but did not fire"),
            _optional("margin", "FLOAT", "threshold minus pre-activation; silent nodes only"),
        ),
    ),
    NodeLabel(
        "Rollup",
        "sums over the traces of one prompt set under one configuration",
        (
            _p("id", "STRING", "SHA-256 of set and configuration"),
            _p("traces", "INTEGER", "traces summed in"),
            _p("touched", "INTEGER", "number of transactions that changed it"),
            _p("stale", "BOOLEAN", "whether its sums are being deleted, to be made anew or removed; never read then"),
        ),
        key="id",
    ),
    NodeLabel(
        "RemovedTrace",
        "what was a Trace until its removal began; gone when the last of its trace nodes is",
        (_p("id", "STRING", "the trace's id, which may meanwhile be stored again"),),
    ),
    NodeLabel(
        "RemovedSet",
        "what was a PromptSet until its removal began; gone when the last of its prompts has left it",
        (_p("name", "STRING", "the set's name, which may meanwhile be used again"),),
    ),
    NodeLabel(
        "Head",
        "a Unit that is an attention head, with what is known of its role; scores are from 0 to 1 unless their "
        "definition in docs/components.md says otherwise",
        (
            _optional("previous_token", "FLOAT", "attention to the position before"),
            _optional("duplicate_token", "FLOAT", "attention to an earlier occurrence of the same token"),
            _optional("induction", "FLOAT", "attention to the position after an earlier occurrence of the same token"),
            _optional("copying", "FLOAT", "share of the OV circuit's eigenvalues that is positive, -1 to 1"),
            _optional("name_mover", "FLOAT", "attention to the answer, times what the head adds to its logit"),
            _optional("s_inhibition", "FLOAT", "effect on the queries of the name movers"),
            _optional("successor", "FLOAT", "share of ordered tokens whose successor the OV circuit raises most"),
            _optional("positional", "FLOAT", "share of the pattern's variance that positions alone explain"),
            _optional("roles", "LIST<STRING>", "the roles whose score is above their bound"),
            _optional("roles_evidence", "STRING", "definitions, data, seeds, counts and bounds as JSON"),
        ),
    ),
    NodeLabel(
        "Intervention",
        "a change made to a model on prompts and what it did, with the set-up that it belongs to",
        (
            _p("id", "STRING", "SHA-256 of model, set-up and place"),
            _p("name", "STRING", "short form that people read"),
            _p("method", "STRING", "such as activation-patching, path-patching, causal-tracing or knockout"),
            _p(
                "site",
                "STRING",
                "what was changed: head, mlp, residual, query, key, value, pattern or input, with + where several were",
            ),
            _optional("direction", "STRING", "noising (corrupted into clean) or denoising (clean into corrupted)"),
            _p("metric", "STRING", "what was measured, such as logit-difference"),
            _p("effect", "FLOAT", "mean over pairs of the metric with the change minus without it (docs/patching.md)"),
            _p("effects", "LIST<FLOAT>", "the effect on each pair"),
            _p("pairs", "INTEGER", "number of pairs"),
            _optional("layer", "INTEGER", "first layer"),
            _optional("layers", "INTEGER", "number of layers that were changed together"),
            _optional("head", "INTEGER", "head, where one was changed"),
            _optional("position", "INTEGER", "token position; none where all were changed"),
            _p("setup", "STRING", "everything else that the numbers depend on, as JSON"),
            _p("stored_at", "ZONED DATETIME", "when it was stored"),
        ),
        key="id",
        indexes=(("method",),),
    ),
    NodeLabel(
        "Motif",
        "a pattern of edges that recurs over the traces of a prompt set, with the units that fill it",
        (
            _p("id", "STRING", "SHA-256 of kind, type, set, configuration and what fills it"),
            _p("kind", "STRING", "`subcircuit` (edges between these very units) or `structural` (a shape)"),
            _p("type", "STRING", "the shape with signs and positions, as `chain:+-:so`; `closed` for subcircuits"),
            _p("size", "INTEGER", "number of edges"),
            _p("traces", "INTEGER", "support: traces that realise it through the same trace nodes"),
            _p("set", "STRING", "the prompt set that was searched"),
            _p("configuration", "STRING", "id of the configuration of its traces"),
            _p("created_by", "STRING", "the command and its options"),
            _optional("edges", "LIST<STRING>", "its edges, as `source -> target; same position`; structural: `+ same`"),
            _optional("lift", "FLOAT", "subcircuits: share of support in the set over that in the background set"),
            _optional(
                "influence",
                "FLOAT",
                "subcircuits: mean over its traces of the influence that its edges carry into its last units",
            ),
        ),
        key="id",
    ),
    NodeLabel(
        "Supernode",
        "units that play one role over a prompt set (methods.md section 5)",
        (
            _p("id", "STRING", "SHA-256 of set, configuration and members"),
            _p("name", "STRING", "what a person named it, else the name of its first member and how many more"),
            _p("set", "STRING", "the prompt set whose traces were compared"),
            _p("configuration", "STRING", "id of the configuration of its traces"),
            _p("size", "INTEGER", "number of members"),
            _p("threshold", "FLOAT", "smallest likeness of two members that nobody put together"),
            _p("min_presence", "FLOAT", "smallest fraction of the set's traces that hold a member"),
            _p("pinned", "BOOLEAN", "whether a person fixed its members"),
        ),
        key="id",
        indexes=(("set", "configuration"),),
    ),
    NodeLabel(
        "SupernodeEdit",
        "what a person said about supernodes; every later grouping of the set obeys it",
        (
            _p("id", "STRING", "SHA-256 of set, configuration and number"),
            _p("set", "STRING", "the prompt set"),
            _p("configuration", "STRING", "id of the configuration"),
            _p("number", "INTEGER", "its place in the order of edits; a later one prevails"),
            _p("kind", "STRING", "`pin`, `split`, `merge` or `name`"),
            _p("units", "LIST<STRING>", "ids of the units that belong together, or are named"),
            _p("others", "LIST<STRING>", "ids of the units that these must be apart from; split only"),
            _optional("name", "STRING", "the name that was given"),
            _p("made_at", "ZONED DATETIME", "when it was said"),
        ),
        key="id",
        indexes=(("set", "configuration"),),
    ),
    NodeLabel(
        "Lease",
        "whoever changes sums or removes traces writes it first, and so holds its lock until the transaction ends",
        (_p("name", "STRING", "always `sums`"), _p("taken", "INTEGER", "how often it was taken")),
        key="name",
    ),
)

_TRACE_SUMS = (
    _p("key", "STRING", "hash of rollup and ends"),
    _p("rollup", "STRING", "id of the rollup"),
)

RELATIONSHIPS: tuple[RelationshipType, ...] = (
    RelationshipType("READS", "Dictionary", "Model", "the dictionary was made for the model"),
    RelationshipType("IN_DICTIONARY", "Unit", "Dictionary", "the feature or layer error belongs to the dictionary"),
    RelationshipType(
        "IN_SET",
        "Prompt",
        "PromptSet",
        "the prompt is in the set, with what the set says of it; the set's labels are further properties",
        (
            _optional("answer", "STRING", "text of the expected answer"),
            _optional("distractor", "STRING", "text of what it is compared with"),
            _p("cluster", "STRING", "prompts that are not independent share it; default: the prompt's id"),
            _optional("spans", "STRING", "role -> [start, end] characters, as JSON"),
            _optional("roles", "STRING", "role -> token positions, as JSON"),
            _p("submitted_at", "ZONED DATETIME", "when it was first put into the set"),
        ),
        open=True,
    ),
    RelationshipType("OF_PROMPT", "Trace", "Prompt", "the prompt that was traced"),
    RelationshipType("UNDER", "Trace", "Configuration", "the configuration of a trace or a rollup"),
    RelationshipType("USES", "Configuration", "Dictionary", "the dictionary of the configuration"),
    RelationshipType("OF_MODEL", "Configuration", "Model", "the model of the configuration"),
    RelationshipType("CONTAINS", "Trace", "TraceNode", "the trace's nodes"),
    RelationshipType("OF", "TraceNode", "Unit", "the unit whose occurrence this is"),
    RelationshipType(
        "AFFECTS",
        "TraceNode",
        "TraceNode",
        "one trace's edge: the direct effect of the start on the end",
        (
            _p(
                "weight",
                "FLOAT",
                "what the start adds to the end's pre-activation, signed; in component traces to the "
                "outputs' weighted sum through this input of the end, to first order",
            ),
            _p("share", "FLOAT", "|weight| over the end's absolute input before pruning"),
            _p("influence", "FLOAT", "share of the influence that runs through the edge"),
            _optional("port", "STRING", "q, k or v where the end is a head"),
        ),
    ),
    RelationshipType(
        "ACTIVATES",
        "Prompt",
        "Unit",
        "the feature fired on the prompt (features with a trace node, and the strongest 200 beside)",
        (
            _p("peak", "FLOAT", "largest activation"),
            _p("peak_position", "INTEGER", "token position of the peak"),
            _p("positions", "INTEGER", "number of positions where it fired"),
            _p("total", "FLOAT", "sum of its activations"),
        ),
    ),
    RelationshipType(
        "LOOKS_FOR",
        "TraceNode",
        "TraceNode",
        "a part of an attention score: what the start brings to the query and the end to the key",
        (
            _p("link", "INTEGER", "index of the attention link's node in its trace"),
            _p(
                "score",
                "FLOAT",
                "the pair's part of the score before any soft cap; with the link's `bias_effect` and "
                "`rest` they add up to its `preactivation`",
            ),
            _p("attention", "FLOAT", "its part of the attention weight, integrated from the uniform pattern"),
        ),
    ),
    RelationshipType("ON", "Intervention", "Unit", "the unit that was changed"),
    RelationshipType(
        "REACHES",
        "Intervention",
        "Unit",
        "the only unit that was given the change, in path patching",
        (_optional("port", "STRING", "q, k or v where it is a head"),),
    ),
    RelationshipType("IN_MODEL", "Intervention", "Model", "the model that was changed"),
    RelationshipType(
        "INVOLVES",
        "Motif",
        "Unit",
        "the unit fills a place of the motif",
        (_p("place", "INTEGER", "its place, from 0"),),
    ),
    RelationshipType("OCCURS_IN", "Motif", "Trace", "the trace realises the motif through the same trace nodes"),
    RelationshipType("GROUPS", "Supernode", "Unit", "the unit is a member; of one supernode of a set at most"),
    RelationshipType(
        "RESEMBLES",
        "Unit",
        "Unit",
        "the evidence for two members of a supernode; from the smaller id to the larger",
        (
            _p("supernode", "STRING", "id of the supernode"),
            _p("likeness", "FLOAT", "cosine of their profiles, -1 to 1"),
            _p("jaccard", "FLOAT", "traces that hold both over traces that hold either"),
            _p("evidence", "STRING", "`duplicates` (high Jaccard), `alternatives` (low) or `edited` (put together)"),
        ),
        indexes=(("supernode",),),
    ),
    RelationshipType("OVER", "Rollup", "PromptSet", "the set that is summed"),
    RelationshipType("SUMMED_IN", "Trace", "Rollup", "the trace is in the sums, exactly once"),
    RelationshipType(
        "DRIVES",
        "Unit",
        "Unit",
        "the rollup of edges; each trace counts once, with its weights summed over position pairs",
        (
            *_TRACE_SUMS,
            _p("port", "INTEGER", "0 none, 1 q, 2 k, 3 v"),
            _p("traces", "INTEGER", "traces with the edge"),
            _p("weight_sum", "FLOAT", "sum of weight w"),
            _p("weight_square_sum", "FLOAT", "sum of w²"),
            _p("absolute_sum", "FLOAT", "sum of |w|"),
            _p("share_sum", "FLOAT", "sum of share"),
            _p("share_square_sum", "FLOAT", "sum of share²"),
            _p("influence_sum", "FLOAT", "sum of influence"),
            _p("influence_square_sum", "FLOAT", "sum of influence²"),
            _p("positive", "INTEGER", "traces with w > 0"),
            _p("target_weighted_sum", "FLOAT", "sum over edges of a_t·weight, a_t the end's activation"),
            _p("same_position", "INTEGER", "traces with such an edge at equal positions"),
        ),
        key="key",
        indexes=(("rollup", "traces"),),
    ),
    RelationshipType(
        "SEEN_IN",
        "Unit",
        "Rollup",
        "the rollup of units, every active feature counted, traced or not",
        (
            *_TRACE_SUMS,
            _p("active_traces", "INTEGER", "traces in which the unit was active"),
            _p("traced", "INTEGER", "traces in which it has a node"),
            _p("activation_sum", "FLOAT", "sum of activation over positions and traces"),
            _p("influence_sum", "FLOAT", "sum of influence over nodes and traces"),
            _p("influence_square_sum", "FLOAT", "sum over traces of (influence summed over positions)²"),
        ),
        key="key",
        indexes=(("rollup", "traced"),),
    ),
)


def node(name: str) -> NodeLabel:
    """Returns the declaration of a node label."""
    return next(label for label in NODES if label.name == name)


def relationship(name: str) -> RelationshipType:
    """Returns the declaration of a relationship type."""
    return next(kind for kind in RELATIONSHIPS if kind.name == name)
