"""Distinct prompts for the packaged model: those of its sets, then sentences drawn from the world it was trained on."""

import json
import random

from circuitbase.demo import packaged
from circuitbase.demo.sentences import training_makers
from circuitbase.demo.world import make_world


def prompts(count: int, *, seed: int) -> list[str]:
    """Returns so many prompts, no two alike; the same count and seed always give the same."""
    found: dict[str, None] = {}
    for path in packaged.prompt_sets().values():
        with path.open(encoding="utf-8") as lines:
            found |= dict.fromkeys(str(json.loads(line)["prompt"]) for line in lines)
    generator = random.Random(seed)
    makers = list(training_makers(make_world()).values())
    while len(found) < count:
        found[generator.choice(makers)(generator).prompt] = None
    return list(found)[:count]
