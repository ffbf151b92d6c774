"""A trace: one prompt's attribution graph with everything that says how it was made."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.imported import Imported
from circuitbase.schema import identity
from circuitbase.schema.kinds import NodeKind


@dataclass(frozen=True)
class ModelIdentity:
    """Which model: its name, its content and its size. `revision` is a hub commit or None."""

    name: str
    digest: str
    tokenizer_digest: str
    architecture: str
    revision: str | None
    n_layers: int
    d_model: int
    d_vocab: int

    @property
    def id(self) -> str:
        """Returns the key that prefixes the ids of the model's units."""
        return identity.model_key(self.name, self.digest)


@dataclass(frozen=True)
class DictionaryIdentity:
    """Which dictionary, for the model with id `model`.

    `site` is what it replaces (`mlp`) or, for SAEs, what they read (`mlp_out`, `attn_out`, `attn_z`).
    """

    name: str
    digest: str
    model: str
    kind: str
    site: str
    activation: str
    n_features: int

    @property
    def id(self) -> str:
        """Returns the key that prefixes the ids of the dictionary's units."""
        return identity.dictionary_key(self.model, self.name, self.digest)


@dataclass(frozen=True)
class TracedPrompt:
    """The tokens that were traced; `text` is None where only token ids were given.

    `bos_added` says whether the begin-of-sequence token was put in front of what was given, `chat`
    whether `text` is what the model's chat template made of it. The ids hold neither: the tokens do.
    """

    text: str | None
    token_ids: tuple[int, ...]
    token_strings: tuple[str, ...]
    positions_without_nodes: tuple[int, ...]
    bos_added: bool = False
    chat: bool = False


@dataclass(frozen=True)
class Target:
    """One output of a trace: a token's logit minus the mean logit, or minus another's; a feature; a direction.

    `kind` is token (its node is an OUTPUT_TOKEN), role or direction (OTHER_OUTPUT; a direction has a name and
    the digest of its vector), or feature (FEATURE). `position` is where it is read. `minus` is None where
    the mean logit is subtracted. `weight` is w of the influence (the probability, or 1).
    """

    weight: float
    kind: str = "token"
    position: int | None = None
    token: int | None = None
    token_string: str | None = None
    minus: int | None = None
    minus_string: str | None = None
    role: str | None = None
    probability: float | None = None
    layer: int | None = None
    feature: int | None = None
    name: str | None = None
    digest: str | None = None

    @property
    def label(self) -> str:
        """Returns what people read: the role, the direction's name, the feature, or the token."""
        if self.kind == "feature":
            return f"{identity.layer_label(self.layer or 0)}/F{self.feature:05d}"
        return self.role or self.name or self.token_string or ""


@dataclass(frozen=True)
class Scores:
    """Scores of the unpruned graph, and of the stored one; the largest account violation.

    `kept_mass` is the share of the outputs' weight that influence carries to input tokens and errors along the
    edges before pruning: 1 unless `keep_mass` or `max_features` left some out. No node's influence (of a weight
    of 1) nor the replacement score is wrong by more than what is missing. Scaling a feature does not change it.
    nan is what nobody knows of an imported graph: its account and, if it was pruned before, what it was like.
    """

    replacement: float
    completeness: float
    pruned_replacement: float
    pruned_completeness: float
    account_violation: float
    stored_account_violation: float
    kept_mass: float = 1.0


@dataclass(frozen=True)
class Counts:
    """Sizes before pruning; of an imported graph those that its file has."""

    nodes: int
    edges: int
    active_features: int


@dataclass(frozen=True)
class Facts:
    """What the model did: its top token and, where a role names the answer, how the answer did.

    `logit_difference` is answer minus distractor where both are named.
    """

    top_token: int
    top_token_string: str
    top_probability: float
    answer_rank: int | None = None
    correct: bool | None = None
    logit_difference: float | None = None


@dataclass(frozen=True)
class TraceMetadata:
    """Everything about a trace but its arrays.

    `request` is the target request (kind, role names, limits) and `options` every numeric option;
    together with model, dictionary, dtype and tracer version they make the configuration.
    """

    kind: str
    model: ModelIdentity
    dictionary: DictionaryIdentity | None
    prompt: TracedPrompt
    request: dict[str, Any]
    options: dict[str, Any]
    dtype: str
    tracer_version: int
    targets: tuple[Target, ...]
    target_tokens: tuple[tuple[Any, ...], ...]
    scores: Scores
    counts: Counts
    facts: Facts
    warnings: tuple[str, ...] = field(default=())
    imported: Imported | None = None

    @property
    def unproven(self) -> bool:
        """Returns whether the trace was imported: then nothing shows that its edges explain all of each target."""
        return self.imported is not None

    @property
    def configuration_id(self) -> str:
        """Returns the id of the configuration this trace was made under."""
        return identity.configuration_id(
            kind=self.kind,
            model_digest=self.model.digest,
            dictionary_digest=self.dictionary.digest if self.dictionary else None,
            targets=self.request,
            options=self.options,
            dtype=self.dtype,
            tracer_version=self.tracer_version,
        )

    @property
    def trace_id(self) -> str:
        """Returns the trace's id, computed from what it holds."""
        return identity.trace_id(
            configuration=self.configuration_id,
            token_ids=self.prompt.token_ids,
            positions_without_nodes=self.prompt.positions_without_nodes,
            target_tokens=[list(pair) for pair in self.target_tokens],
        )

    @property
    def prompt_id(self) -> str:
        """Returns the id of the prompt that was traced."""
        return identity.prompt_id(tokenizer_digest=self.model.tokenizer_digest, token_ids=self.prompt.token_ids)

    def as_json(self) -> dict[str, Any]:
        """Returns the metadata as plain JSON values."""
        found = {"trace_id": self.trace_id, **asdict(self)}
        if self.imported is None:
            del found["imported"]
        else:  # of a trace of ours a score of nan is a defect, and is refused as no JSON
            found["scores"] = {name: None if math.isnan(score) else score for name, score in found["scores"].items()}
        return found

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "TraceMetadata":
        """Returns the metadata that `as_json` wrote; raises KeyError or TypeError if it does not fit."""
        prompt = found["prompt"]
        return cls(
            kind=found["kind"],
            model=ModelIdentity(**found["model"]),
            dictionary=DictionaryIdentity(**found["dictionary"]) if found["dictionary"] else None,
            prompt=TracedPrompt(
                text=prompt["text"],
                token_ids=tuple(prompt["token_ids"]),
                token_strings=tuple(prompt["token_strings"]),
                positions_without_nodes=tuple(prompt["positions_without_nodes"]),
                bos_added=prompt.get("bos_added", False),
                chat=prompt.get("chat", False),
            ),
            request=found["request"],
            options=found["options"],
            dtype=found["dtype"],
            tracer_version=found["tracer_version"],
            targets=tuple(Target(**target) for target in found["targets"]),
            target_tokens=tuple(tuple(target) for target in found["target_tokens"]),
            scores=Scores(**{name: math.nan if x is None else x for name, x in found["scores"].items()}),
            counts=Counts(**found["counts"]),
            facts=Facts(**found["facts"]),
            warnings=tuple(found["warnings"]),
            imported=Imported.from_json(found["imported"]) if "imported" in found else None,
        )


@dataclass(frozen=True)
class Trace:
    """One prompt's attribution graph under one model, dictionary, target and configuration."""

    metadata: TraceMetadata
    graph: AttributionGraph

    def unit_id(self, kind: NodeKind, layer: int, unit: int) -> str:
        """Returns the unit id of a node of this trace."""
        model, dictionary = self.metadata.model, self.metadata.dictionary
        match kind:
            case NodeKind.INPUT_TOKEN:
                return identity.input_token(model.id, unit)
            case NodeKind.OUTPUT_TOKEN:
                return identity.output_token(model.id, unit)
            case NodeKind.OTHER_OUTPUT:
                target = self.metadata.targets[unit]
                if target.role is not None:
                    return identity.role_output(model.id, target.role)
                assert target.name is not None
                assert target.digest is not None
                return identity.direction(model.id, target.name, target.digest)
            case NodeKind.HEAD:
                return identity.head(model.id, layer, unit)
            case NodeKind.ATTENTION_LINK:
                return identity.attention_link(model.id, layer, unit)
            case NodeKind.MLP:
                return identity.mlp(model.id, layer)
            case NodeKind.NEURON:
                return identity.neuron(model.id, layer, unit)
        assert dictionary is not None
        if kind == NodeKind.FEATURE:
            return identity.feature(dictionary.id, dictionary.site, layer, unit)
        return identity.layer_error(dictionary.id, dictionary.site, layer)
