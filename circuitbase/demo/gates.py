"""What the demo model and its dictionaries must show before they are accepted."""

from collections.abc import Sequence
from dataclasses import dataclass

from circuitbase.demo.measure import ModelReport
from circuitbase.errors import ModelError
from circuitbase.training.scores import TranscoderScore

LEAST_ACCURACY = 0.9
MOST_WITHOUT_CITY_MLPS = 0.3
MOST_OVER_CHANCE = 0.1
MOST_UNEXPLAINED = 0.03
MOST_L0 = 16.0
MOST_DEAD = 0.15
LEAST_REPLACEMENT = 0.8


@dataclass(frozen=True)
class Gate:
    """One condition, with what was measured."""

    name: str
    value: float
    bound: str
    passed: bool


def model_gates(report: ModelReport) -> list[Gate]:
    """Returns every condition on the model with its outcome."""
    worst = min(report.tasks, key=lambda task: report.tasks[task])
    reading = max(report.state_from_first_word, report.state_from_second_word)
    most_reading = report.chance_state + MOST_OVER_CHANCE
    swap = max(report.state_swap.values())

    return [
        at_least(f"every task on its training distribution (worst: {worst})", report.tasks[worst]),
        at_least("two-hop on held-out (city, attribute) pairs", report.two_hop_held_out_pairs),
        at_most("state read from one token's embedding", reading, most_reading),
        at_most("two-hop with the MLPs at the city's tokens ablated", report.two_hop_without_city_mlps,
                MOST_WITHOUT_CITY_MLPS),
        at_least("state swapped at the last token: the other state's value, held-out pairs", swap),
    ]  # fmt: skip


def dictionary_gates(scores: Sequence[TranscoderScore], replacement: float) -> list[Gate]:
    """Returns every condition on the dictionaries; `replacement` is the mean replacement score of the prompt sets."""
    return [
        at_most("variance unexplained, worst layer", max(score.fvu for score in scores), MOST_UNEXPLAINED),
        at_most("active features, worst layer", max(score.l0 for score in scores), MOST_L0),
        at_most("dead features, worst layer", max(score.dead for score in scores), MOST_DEAD),
        at_least("mean replacement score of the prompt sets", replacement, LEAST_REPLACEMENT),
    ]


def at_least(name: str, value: float, bound: float = LEAST_ACCURACY) -> Gate:
    """Returns the gate that a value must reach."""
    return Gate(name, value, f">= {bound:.3g}", value >= bound)


def at_most(name: str, value: float, bound: float) -> Gate:
    """Returns the gate that a value must not exceed."""
    return Gate(name, value, f"<= {bound:.3g}", value <= bound)


def refuse_failures(gates: Sequence[Gate]) -> None:
    """Raises ModelError that names every failed gate."""
    failed = [f"{gate.name} is {gate.value:.3f}, expected {gate.bound}" for gate in gates if not gate.passed]
    if failed:
        raise ModelError(f"what was trained is not accepted: {'; '.join(failed)}; try another --seed")
