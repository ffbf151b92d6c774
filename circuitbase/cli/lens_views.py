"""The views of `lens`: each as rows for programs, as a table for people, and as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float64

from circuitbase.cli.output import chosen_format, show_rows
from circuitbase.schema.kinds import NodeKind
from circuitbase.schema.unit_names import unit_name

if TYPE_CHECKING:
    from circuitbase.tracing.lens.logit_attribution import LogitAttribution
    from circuitbase.tracing.lens.logit_lens import LogitLens
    from circuitbase.tracing.tokenizing import PromptTokenizer


class View(Protocol):
    """A look at a prompt."""

    def show(self, output: str | None) -> None:
        """Prints it."""

    def png(self) -> bytes:
        """Returns its picture."""


@dataclass(frozen=True)
class LogitLensView:
    """What the model would say at each layer and position."""

    tokens: tuple[str, ...]
    found: "LogitLens"
    tokenizer: "PromptTokenizer"

    def show(self, output: str | None) -> None:
        """Prints a row per layer, position and rank, or as a table a row per position with the layers beside it."""
        if chosen_format(output) != "table":
            show_rows(self._rows(), output=output)
            return
        n_layers = len(self.found.token)
        names = [*(f"before {layer}" for layer in range(n_layers - 1)), "at the end"]
        table = [
            {
                "position": place,
                "token": token,
                **{name: self._cell(layer, place) for layer, name in enumerate(names)},
            }
            for place, token in enumerate(self.tokens)
        ]
        show_rows(table, output=output, title="Most probable next tokens if the model ended there")

    def png(self) -> bytes:
        """Returns the most probable tokens as a heat map."""
        from circuitbase.pages.lens_plot import lens_png

        return lens_png(
            title="Logit lens",
            tokens=_numbered(self.tokens),
            predicted=[
                [self.tokenizer.token_string(token) for token in layer] for layer in self.found.token[:, :, 0].tolist()
            ],
            probability=self.found.probability[:, :, 0],
        )

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "layer": layer,
                "position": place,
                "token": self.tokens[place],
                "rank": rank + 1,
                "predicted": self.tokenizer.token_string(int(self.found.token[layer, place, rank])),
                "probability": float(self.found.probability[layer, place, rank]),
            }
            for layer, place, rank in np.ndindex(self.found.token.shape)
        ]

    def _cell(self, layer: int, place: int) -> str:
        chosen = zip(self.found.token[layer, place].tolist(), self.found.probability[layer, place], strict=True)
        return ", ".join(f"{self.tokenizer.token_string(token)} {probability:.2f}" for token, probability in chosen)


@dataclass(frozen=True)
class AttributionView:
    """What each component adds to a logit."""

    tokens: tuple[str, ...]
    found: "LogitAttribution"
    answer: str
    distractor: str | None
    position: int
    split: bool
    top: int

    def show(self, output: str | None) -> None:
        """Prints a row per component, the strongest first, then the constants; as a table of the strongest only.

        With `split` heads have a row for each position whose values they moved.
        """
        rows = [row for row in self._split_rows() if row["effect"]] if self.split else self._rows()
        rows = sorted(rows, key=lambda row: -abs(row["effect"]))
        constant = {"component": "constants", "effect": self.found.bias}
        total = {"component": "logit", "effect": self.found.logit}
        if chosen_format(output) != "table":
            show_rows([*rows, constant, total], output=output)
            return
        shown, left = rows[: self.top], sum(row["effect"] for row in rows[self.top :])
        others = {"component": f"{len(rows) - len(shown)} others", "effect": left}
        ends = [others, constant, total] if len(shown) < len(rows) else [constant, total]
        show_rows([*shown, *ends], output=output, title=self._title)

    def png(self) -> bytes:
        """Returns the strongest effects as bars, or by position as a heat map."""
        from circuitbase.pages.lens_plot import attribution_by_position_png, attribution_png

        order = np.argsort(-np.abs(self.found.effect), kind="stable")[: self.top]
        names = [self.found.sources[place] for place in order]
        note = f"{self.found.logit:.4g} in all, constants {self.found.bias:.4g}; the {len(order)} strongest components"
        if self.split:
            return attribution_by_position_png(
                title=self._title,
                note=f"{note}, heads by the position whose values they moved",
                components=names,
                tokens=_numbered(self.tokens),
                effect=self.found.by_position[order],
            )
        return attribution_png(title=self._title, note=note, components=names, effect=self.found.effect[order])

    @property
    def _title(self) -> str:
        less = "the mean logit" if self.distractor is None else f"that of {self.distractor!r}"
        return f"Logit of {self.answer!r} less {less}, after position {self.position}"

    def _rows(self) -> list[dict[str, Any]]:
        effects = zip(self.found.sources, self.found.effect.tolist(), strict=True)
        return [{"component": source, "effect": effect} for source, effect in effects]

    def _split_rows(self) -> list[dict[str, Any]]:
        return [
            {"component": source, "position": place, "token": self.tokens[place], "effect": effect}
            for source, effects in zip(self.found.sources, self.found.by_position.tolist(), strict=True)
            for place, effect in enumerate(effects)
        ]


@dataclass(frozen=True)
class PatternsView:
    """Where heads look."""

    tokens: tuple[str, ...]
    heads: Sequence[tuple[int, int]]
    found: Sequence[Float64[np.ndarray, "query key"]]
    top: int

    def show(self, output: str | None) -> None:
        """Prints a row per head, query and key with any attention; as a table the keys with the most of each query."""
        if chosen_format(output) != "table":
            show_rows(self._rows(), output=output)
            return
        for name, pattern in zip(self._names, self.found, strict=True):
            table = [
                {"query": place, "token": token, "looks_at": self._cell(pattern[place])}
                for place, token in enumerate(self.tokens)
            ]
            show_rows(table, output=output, title=f"Attention of {name}")

    def png(self) -> bytes:
        """Returns the patterns side by side."""
        from circuitbase.pages.pattern_plot import patterns_png

        return patterns_png(heads=self._names, tokens=self.tokens, patterns=self.found)

    @property
    def _names(self) -> list[str]:
        return [unit_name(NodeKind.HEAD, layer=layer, index=head, text=None) for layer, head in self.heads]

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "head": name,
                "query": int(query),
                "query_token": self.tokens[query],
                "key": int(key),
                "key_token": self.tokens[key],
                "attention": float(pattern[query, key]),
            }
            for name, pattern in zip(self._names, self.found, strict=True)
            for query, key in zip(*np.nonzero(pattern), strict=True)
        ]

    def _cell(self, weights: Float64[np.ndarray, " key"]) -> str:
        order = np.argsort(-weights, kind="stable")[: self.top].tolist()
        return ", ".join(f"{self.tokens[key]} @{key} {weights[key]:.2f}" for key in order if weights[key] > 0)


def _numbered(tokens: Sequence[str]) -> list[str]:
    return [f"{place} {token}" for place, token in enumerate(tokens)]
