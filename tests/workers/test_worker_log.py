import json
import logging
from pathlib import Path

import pytest
from neo4j import Driver
from pydantic import SecretStr

from circuitbase.settings import Settings
from circuitbase.workers.jobs import JobState
from circuitbase.workers.worker_log import JsonFormat, TextFormat
from tests.workers.acting import PROGRAM, SECRET, TRACE, act_out, record
from tests.workers.running import eventually, running_worker

ON_STANDARD_OUTPUT = ("", "worker: Warm shutdown (MainProcess)")  # Celery says it inside of its signal handler


def logged(text: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord("circuitbase.test", logging.INFO, "here.py", 1, text, arguments, info)


@pytest.mark.parametrize("kind", [JsonFormat, TextFormat])
@pytest.mark.parametrize(
    "text",
    [
        f"redis://:{SECRET}@host:6379/0",
        f"rediss://user:{SECRET}@host/0?ssl_cert_reqs=none",
        f"redis://:pass@{SECRET}@host/0",
        f"neo4j+s://neo4j:{SECRET}@host",
        f"redis://host/0?password={SECRET}&db=1",
        f"the password is {SECRET}",
    ],
)
def test_no_secret_gets_into_a_line(kind: type[JsonFormat], text: str) -> None:
    form = kind([SECRET])
    for line in (logged("broken: %s", text), logged("broken", error=ValueError(text))):
        assert SECRET not in form.format(line)
        assert "broken" in form.format(line)


def test_a_url_is_hidden_even_if_its_password_is_not_known() -> None:
    line = TextFormat().format(logged("at %s", "redis://:other@host:6379/0"))
    assert line.endswith("at redis://***@host:6379/0")
    assert "see https://host/a@b" in TextFormat().format(logged("see https://host/a@b"))


def test_a_json_line_is_one_object_with_its_traceback() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record = logged("it broke")
        record.exc_info = (ValueError, error, error.__traceback__)
    line = JsonFormat().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("info", "circuitbase.test", "it broke")
    assert found["exception"].startswith("Traceback") and found["time"].endswith("+00:00")


def test_a_worker_logs_json_about_its_jobs_and_no_secret(settings: Settings, database: Driver, tmp_path: Path) -> None:
    good, leak = act_out(settings, "trace", "leak")
    log = tmp_path / "worker.log"
    with running_worker(
        settings, queues="trace,ingest", log=log, options=["--log-format", "json"], program=PROGRAM
    ) as worker:
        eventually(lambda: record(settings, good).state == JobState.STORED, seconds=60)
        eventually(lambda: record(settings, leak).state == JobState.FAILED, seconds=60)
        eventually(lambda: worker.log.read_text().count("succeeded") >= 3, seconds=60)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line not in ON_STANDARD_OUTPUT]
    assert {line["level"] for line in lines} >= {"info", "error"}
    (failed,) = [line for line in lines if line["level"] == "error"]
    assert (failed["job"], failed["trace"]) == (leak, leak)
    assert "queue:6379/0" in failed["message"] and "bolt://***@base" in failed["exception"]
    about = [line for line in lines if line.get("trace") == good]
    assert {line["task"] for line in about} == {"circuitbase.trace_prompt", "circuitbase.store_trace"}
    assert any(line.get("model") == TRACE.metadata.model.id for line in about)
    text = log.read_text()
    for secret in (SECRET, settings.neo4j_connection()[2], redis_password(settings)):
        assert secret not in text


def redis_password(settings: Settings) -> str:
    return settings.redis_connection().split("@")[0].rpartition(":")[2]


def test_secrets_of_the_settings_are_hidden_also_when_they_are_quoted_in_a_url(settings: Settings) -> None:
    from circuitbase.workers.worker_log import set_up_log

    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        given = settings.model_copy(update={"redis_url": SecretStr("redis://:a%2Fb%20long@host:6379/0")})
        set_up_log("text", settings=given)
        form = root.handlers[0].formatter
    finally:
        root.handlers, root.level = before
        logging.captureWarnings(False)
    assert form is not None
    for password in ("a%2Fb%20long", "a/b long", settings.neo4j_connection()[2]):
        assert password not in form.format(logged("it is %s", password))
