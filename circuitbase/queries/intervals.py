"""Intervals for counts: Wilson's for a proportion, and for a log odds ratio."""

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True)
class Interval:
    """An estimate between its 95 % limits."""

    value: float
    low: float
    high: float


def wilson(count: int, total: int) -> Interval:
    """Returns count/total with Wilson's interval; over nothing it is 0 between 0 and 1."""
    if not 0 <= count <= total:
        raise ValueError(f"count must be 0 to {total}, got {count}")
    if total == 0:
        return Interval(0.0, 0.0, 1.0)
    share = count / total
    correction = Z_95**2 / total
    centre = (share + correction / 2) / (1 + correction)
    half = Z_95 / (1 + correction) * math.sqrt(share * (1 - share) / total + correction / (4 * total))
    # The limits at 0 and at all are exact; rounding would leave them just beside.
    low = 0.0 if count == 0 else centre - half
    high = 1.0 if count == total else centre + half
    return Interval(share, low, high)


def log_odds_ratio(count_a: int, total_a: int, count_b: int, total_b: int) -> Interval:
    """Returns the log of A's odds over B's, ½ added to each cell, with a normal interval.

    Positive where A's share is larger. The ½ keeps it finite at 0 and at all (Haldane, Anscombe).
    """
    cells = (count_a, total_a - count_a, count_b, total_b - count_b)
    if min(cells) < 0:
        raise ValueError(f"counts must be 0 to {total_a} and 0 to {total_b}, got {count_a} and {count_b}")
    in_a, out_a, in_b, out_b = (cell + 0.5 for cell in cells)
    value = math.log(in_a * out_b / (out_a * in_b))
    half = Z_95 * math.sqrt(1 / in_a + 1 / out_a + 1 / in_b + 1 / out_b)
    return Interval(value, value - half, value + half)
