"""The same prompts, submitted by three processes at the same moment."""

import itertools
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.submission import Asked
from tests.tiny_configs import WORDS
from tests.workers.poisonous import computed
from tests.workers.running import eventually, running_worker
from tests.workers.submitting import count
from tests.workers.twice import PROGRAM

N_PROMPTS = 200
N_SUBMITTING = 3
PATIENCE_SECONDS = 400
PROMPTS = [f"the {first} of {second}" for first, second in itertools.product(WORDS[:-3], repeat=2)][:N_PROMPTS]


def submitting(settings: Settings, asked: Asked):
    """Starts a command that submits what it gets on standard input."""
    options = ["--model", asked.model, "--dictionary", str(asked.dictionary), "--set", asked.prompt_set, "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "circuitbase", "submit", "-", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"CIRCUITBASE_HOME": str(settings.home), "CIRCUITBASE_STORE": settings.store_url},
        text=True,
    )


def is_connected(process: subprocess.Popen[str], port: int | None) -> bool:
    """Returns whether a process has loaded all it needs and speaks with Redis; then it reads its prompts."""
    assert process.poll() is None
    return any(each.raddr and each.raddr.port == port for each in psutil.Process(process.pid).net_connections())


def test_prompts_submitted_by_three_processes_at_once_are_computed_once(
    settings: Settings, database: Driver, asked: Asked, tmp_path: Path
) -> None:
    port = urlsplit(settings.redis_connection()).port
    Path(settings.store_url).mkdir(parents=True)
    with (
        ExitStack() as started,
        open_redis(settings) as client,
        running_worker(settings, queues="trace,ingest", log=tmp_path / "one.log", program=PROGRAM),
        running_worker(settings, queues="trace,ingest", log=tmp_path / "two.log", program=PROGRAM),
    ):
        commands = [started.enter_context(submitting(settings, asked)) for _ in range(N_SUBMITTING)]
        for command in commands:
            command.stdin.write("\n".join(PROMPTS))
            command.stdin.flush()
        eventually(lambda: all(is_connected(command, port) for command in commands), seconds=PATIENCE_SECONDS)
        for command in commands:
            command.stdin.close()  # now each has all its prompts, and queues them
        printed = [json.loads(command.stdout.read()) for command in commands]
        assert [command.wait(PATIENCE_SECONDS) for command in commands] == [0] * N_SUBMITTING
        eventually(lambda: client.scard(jobs.ACTIVE) == 0, seconds=PATIENCE_SECONDS)
        found = list(jobs.listed(client, prompt_set=asked.prompt_set))
    assert sum(row["queued"] for row in printed) == N_PROMPTS
    for row in printed:
        assert row["queued"] + row["already_queued"] + row["already_stored"] == N_PROMPTS
    assert [job.state for job in found] == [JobState.STORED] * N_PROMPTS
    assert sorted(computed(settings.store_url)) == sorted(job.trace_id for job in found)
    assert count(database, "MATCH (t:Trace) RETURN count(t)") == N_PROMPTS
    assert count(database, "MATCH (p:Prompt)-[:IN_SET]->(:PromptSet) RETURN count(p)") == N_PROMPTS
