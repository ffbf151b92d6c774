"""The whole main job on the packaged model, from services to global circuits. It tells, and prints nothing."""

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from neo4j import Driver

from circuitbase import services
from circuitbase.demo import packaged
from circuitbase.demo.background_workers import BackgroundWorkers
from circuitbase.demo.findings import SHOWN_SET, Findings, find
from circuitbase.errors import InputError
from circuitbase.ingest.connection import open_driver
from circuitbase.ingest.migrations import migrate
from circuitbase.queries.rollup import roll_up
from circuitbase.services.interrupts import interrupts_deferred
from circuitbase.settings import Settings
from circuitbase.store.prompt_file import read_prompts
from circuitbase.store.trace_store import TraceStore
from circuitbase.workers import jobs
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.following import Progress, follow
from circuitbase.workers.jobs import Job
from circuitbase.workers.submission import Asked, Submission, submit

MODEL = "atlas"
NEEDED = {"torch": "trace", "transformers": "trace", "matplotlib": "plot"}


@runtime_checkable
class Audience(Protocol):
    """Who hears how far the demo is."""

    def say(self, sentence: str) -> None:
        """Hears what happens."""

    def fetched(self, done: int, total: int) -> None:
        """Hears how many bytes of Neo4j were fetched."""

    def queued(self, done: int, total: int) -> None:
        """Hears how many prompts were looked at."""

    def progressed(self, progress: Progress) -> None:
        """Hears how far the jobs are."""


@dataclass
class Stopwatch:
    """Seconds per phase, in the order in which the phases began."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times the block."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun


@dataclass(frozen=True)
class DemoRun:
    """What was queued, traced, stored and found; nothing is found where a job failed. `seconds` by phase.

    `failed` jobs keep their reasons; `gone` ones have lost their record.
    """

    submissions: tuple[Submission, ...]
    failed: tuple[Job, ...]
    gone: int
    findings: Findings | None
    seconds: dict[str, float]


def run_demo(settings: Settings, audience: Audience) -> DemoRun:
    """Starts services and workers, traces and stores all packaged prompt sets, rolls up and reads.

    What is stored already is left alone. The workers are left running for more jobs, unless the run
    is interrupted or fails: then those that it started are stopped.
    """
    check_packages()
    watch = Stopwatch()
    with watch.phase("services"):
        services.up(settings, say=audience.say, progress=audience.fetched)
    workers = BackgroundWorkers(settings)
    try:
        with open_driver(settings) as driver:
            return _run(driver, settings, workers, audience, watch)
    except BaseException:
        with interrupts_deferred():
            workers.stop_started()
        raise


def _run(
    driver: Driver, settings: Settings, workers: BackgroundWorkers, audience: Audience, watch: Stopwatch
) -> DemoRun:
    with watch.phase("submit"):
        migrate(driver, database=settings.neo4j_database)
        audience.say("Starting a trace worker and an ingest worker, unless they run")
        workers.start()
        submissions = _submit_all(settings, audience)
    with watch.phase("trace and store"):
        failed, gone = _await_all(settings, workers, submissions, audience)
    with watch.phase("roll up"):
        audience.say("Rolling up")
        _roll_up_all(driver, settings, submissions)
    found = None
    if not failed and not gone:
        with watch.phase("read and draw"):
            found = find(driver, settings, configuration=_configuration(submissions))
    return DemoRun(tuple(submissions), failed, gone, found, watch.seconds)


def check_packages() -> None:
    """Raises InputError that names the extras to install, if packages are missing."""
    extras = sorted({extra for package, extra in NEEDED.items() if importlib.util.find_spec(package) is None})
    if extras:
        raise InputError(
            f"the demo needs {' and '.join(f'circuitbase[{extra}]' for extra in extras)}; "
            f"install with `{sys.executable} -m pip install 'circuitbase[{','.join(extras)}]'`"
        )


def _submit_all(settings: Settings, audience: Audience) -> list[Submission]:
    sets = packaged.prompt_sets(MODEL)
    total = sum(_lines(path) for path in sets.values())
    done = 0
    submissions = []
    for name, path in sets.items():
        asked = Asked(str(packaged.model_folder(MODEL)), str(packaged.transcoder_folder(MODEL)), prompt_set=name)
        lines = read_prompts(str(path), standard_input=())
        submissions.append(submit(lines, source=str(path), asked=asked, settings=settings))
        done += _lines(path)
        audience.queued(done, total)
    return submissions


def _await_all(
    settings: Settings, workers: BackgroundWorkers, submissions: list[Submission], audience: Audience
) -> tuple[tuple[Job, ...], int]:
    trace_ids = [trace_id for submission in submissions for trace_id in submission.under_way]
    stored_before = sum(submission.already_stored for submission in submissions)
    with open_redis(settings) as client, application(settings) as app:
        for progress in follow(client, app, trace_ids):
            audience.progressed(progress.after(stored_before))
            if not progress.ended:
                workers.check()
        failed = tuple(job for job in jobs.read(client, trace_ids) if job.state in jobs.UNDONE)
    return failed, progress.gone


def _roll_up_all(driver: Driver, settings: Settings, submissions: list[Submission]) -> None:
    store = TraceStore(settings.store_url)
    for submission in submissions:
        roll_up(driver, store=store, prompt_set=submission.prompt_set, database=settings.neo4j_database)


def _configuration(submissions: list[Submission]) -> str:
    (shown,) = (submission for submission in submissions if submission.prompt_set == SHOWN_SET)
    return shown.configurations[0]


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())
