"""Rows of what interventions did, over pairs or by pair."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from circuitbase.tracing.components.pairs import Pair
    from circuitbase.tracing.patching.effects import PatchEffects
    from circuitbase.tracing.patching.experiment import PatchResult
    from circuitbase.tracing.patching.pair_checks import PairCheck
    from circuitbase.tracing.tokenizing import PromptTokenizer

COLUMNS = ("place", "direction", "change", "deviation", "ratio_of_means", "mean_of_ratios")
COLUMNS_BY_PAIR = ("place", "direction", "pair", "clean", "corrupted", "patched", "change", "share")
COLUMNS_OF_CHECKS = (
    "pair",
    "length",
    "same_length",
    "same_template",
    "in_distribution",
    "symmetric",
    "differing",
    "strange",
)


def effect_rows(result: "PatchResult") -> list[dict[str, Any]]:
    """Returns a row per place and direction, the largest change of a place first."""
    largest = np.max([np.abs(effects.change.mean(1)) for effects in result.effects], axis=0)
    return [
        {
            "place": result.subjects[place].name,
            "direction": str(effects.direction),
            "change": float(effects.change[place].mean()),
            "deviation": float(effects.change[place].std()),
            "ratio_of_means": _number(effects.ratio_of_means[place]),
            "mean_of_ratios": _number(effects.mean_of_ratios[place]),
        }
        for place in np.argsort(-largest, kind="stable")
        for effects in result.effects
    ]


def pair_rows(result: "PatchResult") -> list[dict[str, Any]]:
    """Returns a row per place, direction and pair."""
    return [row for effects in result.effects for row in _pair_rows(result, effects)]


def _pair_rows(result: "PatchResult", effects: "PatchEffects") -> Iterator[dict[str, Any]]:
    change, shares = effects.change, effects.shares
    for place, subject in enumerate(result.subjects):
        for pair in range(len(effects.clean)):
            yield {
                "place": subject.name,
                "direction": str(effects.direction),
                "pair": pair,
                "clean": float(effects.clean[pair]),
                "corrupted": float(effects.corrupted[pair]),
                "patched": float(effects.patched[place, pair]),
                "change": float(change[place, pair]),
                "share": _number(shares[place, pair]),
            }


def check_rows(
    checks: "Sequence[PairCheck]", pairs: "Sequence[Pair]", tokenizer: "PromptTokenizer"
) -> list[dict[str, Any]]:
    """Returns a row per pair with what was found of it; tokens that are strange at their place with that place."""
    return [
        {
            "pair": check.pair,
            "length": check.length,
            "same_length": check.same_length,
            "same_template": check.same_template,
            "in_distribution": check.in_distribution,
            "symmetric": check.symmetric,
            "differing": " ".join(map(str, check.differing)),
            "strange": " ".join(f"{tokenizer.token_string(pair.corrupted[place])}@{place}" for place in check.strange),
        }
        for check, pair in zip(checks, pairs, strict=True)
    ]


def summary(result: "PatchResult", *, metric: str) -> str:
    """Returns a sentence on the runs that were not patched."""
    first = result.effects[0]
    ends = f"clean {first.clean.mean():.4g}, corrupted {first.corrupted.mean():.4g}"
    return f"{metric}, mean over {len(first.clean)} pairs: {ends}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
