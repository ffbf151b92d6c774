"""A head's attention from one position as rows: its keys, the pairs that make their scores, the change by key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from circuitbase.schema.kinds import NodeKind
from circuitbase.schema.unit_names import unit_name
from circuitbase.tracing.attention.softmax_parts import derivative, integrated

if TYPE_CHECKING:
    from circuitbase.tracing.attention.component_scores import HeadLook
    from circuitbase.tracing.attention.contrast import AttentionChange

BIAS = "bias"


@dataclass(frozen=True)
class HeadExplanation:
    """What a head does at a position; `chosen` are the places of the keys that are explained.

    Coefficients turn a part of a key's score into its part of that key's or a chosen key's attention weight.
    """

    name: str
    tokens: tuple[str, ...]
    sources: tuple[str, ...]
    look: "HeadLook"
    chosen: Int64[np.ndarray, " chosen"]
    derivative: Float64[np.ndarray, "chosen key"]
    integrated: Float64[np.ndarray, "chosen key"]
    change: "AttentionChange | None"

    @classmethod
    def of(
        cls,
        looks: "Sequence[HeadLook]",
        *,
        tokens: tuple[str, ...],
        sources: tuple[str, ...],
        head: tuple[int, int],
        n_keys: int,
    ) -> "HeadExplanation":
        """Returns the explanation of a look, or of the first of two against the second."""
        from circuitbase.tracing.attention.contrast import attention_change

        look = looks[0]
        chosen = np.argsort(-look.weights, kind="stable")[:n_keys]
        way = integrated(np.zeros(len(look.keys)), look.scores, of=chosen, soft_cap=look.soft_cap)
        return cls(
            name=unit_name(NodeKind.HEAD, layer=head[0], index=head[1], text=None),
            tokens=tokens,
            sources=sources,
            look=look,
            chosen=chosen,
            derivative=derivative(look.scores, of=chosen, soft_cap=look.soft_cap),
            integrated=way.coefficient,
            change=attention_change(look, looks[1], of=chosen) if len(looks) > 1 else None,
        )

    def summary(self) -> dict[str, Any]:
        """Returns what is explained."""
        query = self.look.query
        return {"head": self.name, "query": query, "query_token": self.tokens[query], "tokens": list(self.tokens)}

    def key_rows(self) -> list[dict[str, Any]]:
        """Returns the visible keys, most attention first.

        `integrated` is what the key's own score adds to its weight above the uniform one, and `others` what the other
        keys' scores do; both are None for keys that are not explained.
        """
        weights, scores = self.look.weights, self.look.scores
        own = {place: (row, float(self.integrated[row] @ scores)) for row, place in enumerate(self.chosen.tolist())}
        rows = []
        for place in np.argsort(-weights, kind="stable").tolist():
            row, whole = own.get(place, (None, None))
            mine = None if row is None else float(self.integrated[row, place] * scores[place])
            rows.append(
                {
                    **self._key(place),
                    "score": float(scores[place]),
                    "attention": float(weights[place]),
                    "uniform": 1 / len(weights),
                    "integrated": mine,
                    "others": None if mine is None or whole is None else whole - mine,
                }
            )
        return rows

    def pair_rows(self, *, top: int | None) -> list[dict[str, Any]]:
        """Returns the strongest pairs of each explained key, biases among them; they add up to its score."""
        rows = []
        for row, place in enumerate(self.chosen.tolist()):
            parts = self.look.parts(place)
            n_sources = len(parts.pairs)
            names = [*self.sources[:n_sources], BIAS]
            table = np.zeros((n_sources + 1, n_sources + 1))
            table[:-1, :-1] = parts.pairs.cpu().numpy()
            table[:-1, -1] = parts.query_with_bias.cpu().numpy()
            table[-1, :-1] = parts.bias_with_key.cpu().numpy()
            table[-1, -1] = parts.bias_with_bias
            for flat in np.argsort(-np.abs(table.ravel()), kind="stable")[:top].tolist():
                asking, offering = divmod(flat, n_sources + 1)
                score = float(table[asking, offering])
                rows.append(
                    {
                        **self._key(place),
                        "query_side": names[asking],
                        "key_side": names[offering],
                        "score": score,
                        "derivative": float(self.derivative[row, place]) * score,
                        "integrated": float(self.integrated[row, place]) * score,
                    }
                )
        return rows

    def change_rows(self, contrast: tuple[str, ...]) -> list[dict[str, Any]]:
        """Returns how each key's score changed: with the query, with the key, with both."""
        change = self._changed
        order = np.argsort(-np.abs(change.weight - change.contrast_weight), kind="stable")
        return [
            {
                **self._key(place),
                "contrast_token": contrast[int(change.keys[place])],
                "score": float(change.score[place]),
                "contrast_score": float(change.contrast_score[place]),
                "by_query": float(change.by_query[place]),
                "by_key": float(change.by_key[place]),
                "by_both": float(change.by_both[place]),
                "attention": float(change.weight[place]),
                "contrast_attention": float(change.contrast_weight[place]),
            }
            for place in order.tolist()
        ]

    def part_rows(self) -> list[dict[str, Any]]:
        """Returns what each key's change of score changed in the weight of each explained key, zeros left out."""
        change = self._changed
        return [
            {
                **self._key(place),
                "attention_change": float(change.weight[place] - change.contrast_weight[place]),
                "score_of": int(change.keys[other]),
                "score_of_token": self.tokens[int(change.keys[other])],
                "part": float(change.part[row, other]),
            }
            for row, place in enumerate(self.chosen.tolist())
            for other in np.argsort(-np.abs(change.part[row]), kind="stable").tolist()
            if change.part[row, other]
        ]

    @property
    def _changed(self) -> "AttentionChange":
        assert self.change is not None
        return self.change

    def _key(self, place: int) -> dict[str, Any]:
        key = int(self.look.keys[place])
        return {"key": key, "token": self.tokens[key]}
