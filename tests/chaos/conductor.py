"""Runs a schedule against workers and services while jobs come in, and says what it did."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from circuitbase.workers.jobs import ACTIVE, JobState
from tests.chaos.aftermath import at_rest
from tests.chaos.arena import Arena
from tests.chaos.diary import Diary
from tests.chaos.killing import Killer
from tests.chaos.schedule import WORKER_KILLS, Event, Stroke
from tests.chaos.supervisor import SupervisedWorker

DURING = {Stroke.KILL_TRACING: JobState.TRACING, Stroke.KILL_STORING: JobState.STORING, Stroke.KILL_ANY: None}
AIM_SECONDS = 30.0  # after which a kill that found nobody at work is put off to the next round
LAST_AIM_SECONDS = 300.0  # for those that are left when all is queued; they give up when every job has ended
POLL_SECONDS = 0.02
ID_WIDTH = 12


@dataclass
class Conductor:
    """Who is struck, and with which random choices; `queue_jobs` queues the jobs of a round (from 0).

    `client` reaches Redis directly.
    """

    arena: Arena
    workers: Sequence[SupervisedWorker]
    client: redis.Redis
    diary: Diary
    queue_jobs: Callable[[int], int]
    seed: int

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._killer = Killer(self.client)

    def run(self, rounds: Sequence[Sequence[Event]]) -> Counter[Stroke]:
        """Runs all rounds and returns how often each stroke fell; a kill that finds nobody at work is put off."""
        fallen: Counter[Stroke] = Counter()
        put_off: list[Event] = []
        for number, events in enumerate(rounds):
            self.diary.note(f"round {number + 1}: queued {self.queue_jobs(number)} jobs")
            due, put_off = [*put_off, *events], []
            for event in due:
                time.sleep(event.pause)
                if self._strike(event):
                    fallen[event.stroke] += 1
                else:
                    put_off.append(event)
        for event in put_off:  # kills alone are ever put off
            fallen[event.stroke] += self._kill_worker(event, seconds=LAST_AIM_SECONDS)
        return fallen

    def await_workers(self, *, seconds: float) -> bool:
        """Waits until every worker takes messages; returns whether it came to that."""
        return self._waited(lambda: all(worker.is_ready for worker in self.workers), seconds)

    def await_end(self, *, seconds: float) -> bool:
        """Waits until every job has ended and the queue is at rest; returns whether it came to that."""
        ended = self._waited(lambda: not self.client.scard(ACTIVE), seconds)
        self.diary.note("every job has ended" if ended else "not every job has ended")
        rests = at_rest(self.client, seconds=seconds)
        self.diary.note("the queue is at rest" if rests else "the queue is not at rest")
        return ended and rests

    def _strike(self, event: Event) -> bool:
        match event.stroke:
            case stroke if stroke in WORKER_KILLS:
                return self._kill_worker(event, seconds=AIM_SECONDS)
            case Stroke.KILL_REDIS | Stroke.KILL_NEO4J:
                name = "redis" if event.stroke is Stroke.KILL_REDIS else "neo4j"
                self.diary.note(f"{event.stroke}: process {self.arena.kill(name)}, away for {event.away:.1f} s")
                time.sleep(event.away)
                self.arena.start_again()
                self.diary.note(f"{name} answers again")
            case Stroke.CUT_REDIS | Stroke.CUT_NEO4J:
                name = "redis" if event.stroke is Stroke.CUT_REDIS else "neo4j"
                how = "frozen" if event.frozen else "dropped"
                connections = self.arena.proxies[name].connections()
                self.diary.note(f"{event.stroke}: {connections} connections {how} for {event.away:.1f} s")
                self.arena.cut(name, frozen=event.frozen, seconds=event.away)
                self.diary.note(f"the way to {name} is open again")
        return True

    def _kill_worker(self, event: Event, *, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for worker in self._random.sample(list(self.workers), len(self.workers)):
                done = self._killer.kill(worker, during=DURING[event.stroke], whole=event.whole)
                if done is not None:
                    job = f"job {done.job.trace_id[:ID_WIDTH]} {done.job.state}" if done.job else "no job"
                    self.diary.note(f"{event.stroke}: {done.part} {done.pid} of {done.worker}, {job}")
                    return True
            if not self.client.scard(ACTIVE):
                break
            time.sleep(self._random.uniform(0.0, POLL_SECONDS))
        self.diary.note(f"{event.stroke}: nobody to hit, put off")
        return False

    def _waited(self, happened: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS * 10)
        return True
