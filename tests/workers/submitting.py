"""Submitting a few prompts and waiting for them."""

from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.store.prompt_line import BadLine, PromptLine
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.following import Progress, follow
from circuitbase.workers.submission import Asked, Submission, submit

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


def lines(*texts: str) -> list[PromptLine | BadLine]:
    return [PromptLine(number=number, prompt=text) for number, text in enumerate(texts, start=1)]


def submitted(settings: Settings, asked: Asked, *texts: str) -> Submission:
    return submit(lines(*texts), source="a test", asked=asked, settings=settings)


def awaited(settings: Settings, submission: Submission) -> Progress:
    with open_redis(settings) as client, application(settings) as app:
        *_, last = follow(client, app, submission.under_way)
    return last


def count(database: Driver, query: str) -> int:
    return int(database.execute_query(query).records[0][0])  # type: ignore[arg-type]
