"""What is done to whom and when, drawn from a seed before anything runs."""

import random
from dataclasses import dataclass
from enum import StrEnum


class Stroke(StrEnum):
    """What can be done to the queue; a kill is `kill -9`."""

    KILL_TRACING = "kill during tracing"
    KILL_STORING = "kill during storing"
    KILL_ANY = "kill at any moment"
    KILL_REDIS = "kill Redis"
    KILL_NEO4J = "kill Neo4j"
    CUT_REDIS = "cut Redis off"
    CUT_NEO4J = "cut Neo4j off"


WORKER_KILLS = (Stroke.KILL_TRACING, Stroke.KILL_STORING, Stroke.KILL_ANY)
CUTS = (Stroke.CUT_REDIS, Stroke.CUT_NEO4J)


@dataclass(frozen=True)
class Event:
    """One stroke, `pause` seconds after what came before.

    A kill of a worker takes its child alone or, `whole`, its parent too. A service or the way to it is
    away for `away` seconds (a killed one, and until it has started); a `frozen` way drops no connection.
    """

    stroke: Stroke
    pause: float
    away: float
    whole: bool
    frozen: bool


@dataclass(frozen=True)
class Plan:
    """How often each stroke falls, over so many rounds; `whole` of the kills take a worker's parent too.

    In every round prompts are queued first; the last is for kills that were put off for want of anybody at
    work. `longest_pause` and `longest_away` in seconds.
    """

    rounds: int
    strokes: dict[Stroke, int]
    whole: int
    longest_pause: float
    longest_away: float


def drawn(plan: Plan, *, seed: int) -> list[list[Event]]:
    """Returns the events of each round; the same plan and seed always give the same."""
    generator = random.Random(seed)
    strokes = [stroke for stroke in Stroke for _ in range(plan.strokes.get(stroke, 0))]
    kills = [place for place, stroke in enumerate(strokes) if stroke in WORKER_KILLS]
    whole = set(generator.sample(kills, plan.whole))
    events = []
    for place, stroke in enumerate(strokes):
        pause = generator.uniform(0.0, plan.longest_pause)
        away = generator.uniform(plan.longest_away / 4, plan.longest_away)
        # a way is first frozen, then dropped, and so on
        frozen = stroke in CUTS and strokes[:place].count(stroke) % 2 == 0
        events.append(Event(stroke=stroke, pause=pause, away=away, whole=place in whole, frozen=frozen))
    generator.shuffle(events)
    struck = plan.rounds - 1
    return [*(events[number::struck] for number in range(struck)), []]
