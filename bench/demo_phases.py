"""Seconds per phase of the demo in a fresh home, and how long it takes when everything is stored already."""

import tempfile
import time
from pathlib import Path

from bench.measurement import Measurement
from circuitbase import services
from circuitbase.demo.run import DemoRun, run_demo
from circuitbase.settings import Settings
from circuitbase.workers.following import Progress

FIRST_GOAL, SECOND_GOAL = 300.0, 60.0


class Silence:
    """An audience that only listens."""

    def say(self, sentence: str) -> None:
        """Hears what happens."""

    def fetched(self, done: int, total: int) -> None:
        """Hears how many bytes of Neo4j were fetched."""

    def queued(self, done: int, total: int) -> None:
        """Hears how many prompts were looked at."""

    def progressed(self, progress: Progress) -> None:
        """Hears how far the jobs are."""


def demo_phases() -> list[Measurement]:
    """Runs the demo twice in a home of its own; Neo4j's jars must have been fetched before."""
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as home:
        settings = Settings(home=Path(home), store=f"{home}/store", neo4j_uri=None, redis_url=None)
        # started here, so that a running demo keeps its ports
        services.up(settings, ports=services.Ports(bolt=0, http=0, redis=0))
        services.down(settings)
        try:
            first, first_seconds = _timed(settings)
            _, second_seconds = _timed(settings)
        finally:
            services.down(settings)
    traces = sum(len(submission.under_way) for submission in first.submissions)
    tracing = first.seconds["trace and store"]
    return [
        *(Measurement(f"demo, {phase}", seconds, "s", better="lower") for phase, seconds in first.seconds.items()),
        Measurement("demo, all", first_seconds, "s", goal=FIRST_GOAL, better="lower"),
        Measurement("demo, run again", second_seconds, "s", goal=SECOND_GOAL, better="lower"),
        Measurement(f"tracing and storing, {traces} traces", traces / tracing, "traces/s"),
    ]


def _timed(settings: Settings) -> tuple[DemoRun, float]:
    begun = time.perf_counter()
    found = run_demo(settings, Silence())
    return found, time.perf_counter() - begun
