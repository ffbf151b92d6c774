"""What interventions did as a heat map: layers upwards; heads, positions or components across."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from circuitbase.pages.heat_map import HeatMap
    from circuitbase.tracing.components.pairs import Pair
    from circuitbase.tracing.patching.experiment import PatchResult
    from circuitbase.tracing.patching.subjects import Subject
    from circuitbase.tracing.tokenizing import PromptTokenizer

_TITLES = {
    "activation": "Activation patching",
    "attribution": "Attribution patching",
    "path": "Path patching",
    "causal-tracing": "Causal tracing",
    "knockout": "Knockouts by the mean",
}


def effect_map(
    result: "PatchResult", *, model: str, metric: str, pairs: "Sequence[Pair]", tokenizer: "PromptTokenizer"
) -> "HeatMap":
    """Returns the picture: colour is what each change adds to the metric, in units of clean minus corrupted.

    Where these two means are equal, it is in the metric's own units.
    """
    from circuitbase.pages.heat_map import HeatMap, HeatPanel

    cells = [(_row(subject), _column(subject)) for subject in result.subjects]
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    relative = not np.isnan(result.effects[0].relative_change).any()
    panels = []
    for effects in result.effects:
        values = np.full((len(rows), len(columns)), np.nan)
        found = effects.relative_change if relative else effects.change.mean(1)
        for (row, column), value in zip(cells, found, strict=True):
            values[rows.index(row), columns.index(column)] = value
        panels.append(HeatPanel(str(effects.direction), values))
    options = result.options
    to = options.receivers or ()
    first = result.effects[0]
    ends = f"clean {first.clean.mean():.3g}, corrupted {first.corrupted.mean():.3g}"
    subtitle = f"{metric}, mean over {len(pairs)} pairs: {ends}. Blue raises it, orange lowers it."
    if len(to) > 1:
        subtitle += f" Receivers: {', '.join(to)}."
    by_position = any(isinstance(column, int) for column in columns)
    if by_position:
        subtitle += " Tokens of the first clean prompt; * where prompts differ."
    return HeatMap(
        title=" ".join(filter(None, (f"{_TITLES[options.method]}: {model}", options.site, _receivers(to)))),
        subtitle=subtitle,
        row_names=tuple(rows),
        column_names=tuple(_position_names(pairs, tokenizer) if by_position else map(str, columns)),
        value_name="change / (clean − corrupted)" if relative else f"change of the {metric}",
        panels=tuple(panels),
    )


def _receivers(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"to {names[0]}" if len(names) == 1 else f"to {len(names)} receivers"


def _row(subject: "Subject") -> str:
    if subject.layer is None:
        return subject.name.partition("->")[0]
    last = subject.layer + (subject.layers or 1) - 1
    layers = f"{subject.layer}" if last == subject.layer else f"{subject.layer}–{last}"
    if subject.position is not None and subject.head is not None:
        return f"{layers}.{subject.head}"
    return f"layer {layers}" if last == subject.layer else f"layers {layers}"


def _column(subject: "Subject") -> str | int:
    if subject.position is not None:
        return subject.position
    if subject.head is not None:
        return f"h{subject.head}"
    return subject.kind if subject.kind in ("mlp", "input") else "all"


def _position_names(pairs: "Sequence[Pair]", tokenizer: "PromptTokenizer") -> list[str]:
    first = pairs[0].clean
    return [
        tokenizer.token_string(token).strip() + ("" if all(pair.clean[place] == token for pair in pairs) else "*")
        for place, token in enumerate(first)
    ]
