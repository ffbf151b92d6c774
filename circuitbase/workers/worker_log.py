"""A worker's log: what it is about (job, trace, model), for people or as JSON lines, and no secret in it."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from celery import current_app, signals

from circuitbase.errors import ServiceError
from circuitbase.settings import Settings, load_settings
from circuitbase.workers.application import ROLL_UP_TASK
from circuitbase.workers.worker_options import LogFormat

HIDDEN = "***"
ID_WIDTH = 12
FIELDS = ("job", "task", "trace", "model", "prompt_set")

_IN_URL = re.compile(r"(?<=://)[^\s/@'\"]*:[^\s/'\"]*@")  # to the last @, as a password may hold one
_IN_QUERY = re.compile(r"(?i)(?<=password=)[^&\s'\"]+")

_about: dict[str, str] = {}  # what this process works on now; it runs one task at a time


def about(**fields: str) -> None:
    """Says more of what the task at hand works on, in every line that it logs from here."""
    _about.update(fields)


class Redacted(logging.Formatter):
    """The text of records without passwords: those of the settings, and any in a URL."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def redacted(self, text: str) -> str:
        """Returns a text with its secrets hidden."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _IN_QUERY.sub(HIDDEN, _IN_URL.sub(f"{HIDDEN}@", text))

    def trouble(self, record: logging.LogRecord) -> str | None:
        """Returns the traceback of a record that has one."""
        return self.redacted(self.formatException(record.exc_info)) if record.exc_info else None


class TextFormat(Redacted):
    """A line for people, ending with what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and below it the traceback if there is one."""
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        subject = {name: value for name, value in _subject(record).items() if name in ("trace", "model", "prompt_set")}
        shown = ", ".join(f"{name} {value[:ID_WIDTH] if name == 'trace' else value}" for name, value in subject.items())
        line = f"{moment:%Y-%m-%d %H:%M:%S}Z {record.levelname:<7} {self.redacted(record.getMessage())}"
        line += f" ({self.redacted(shown)})" if shown else ""
        return "\n".join(filter(None, (line, self.trouble(record))))


class JsonFormat(Redacted):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        found = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": self.redacted(record.getMessage()),
            **{name: self.redacted(value) for name, value in _subject(record).items()},
        }
        if trouble := self.trouble(record):
            found["exception"] = trouble
        return json.dumps(found, ensure_ascii=False)


def set_up_log(log_format: LogFormat, *, settings: Settings) -> None:
    """Sends what this process logs, from INFO on, to standard error in that format."""
    kind = JsonFormat if log_format == "json" else TextFormat
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(kind(_secrets(settings)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for name in ("celery", "celery.task", "celery.redirected"):
        logging.getLogger(name).handlers = []


def _secrets(settings: Settings) -> list[str]:
    try:
        passwords = [settings.neo4j_connection()[2]]
        passwords.append(urlsplit(settings.redis_connection()).password or "")
    except (ServiceError, ValueError):
        return []  # nothing is configured, so nothing can be given away
    return [*passwords, *map(unquote, passwords)]


def _subject(record: logging.LogRecord) -> dict[str, str]:
    """Returns what a record is about: what Celery says of its task, else the task at hand."""
    data: Any = getattr(record, "data", None)
    if isinstance(data, dict) and "id" in data:
        found = _subject_of(str(data["id"]), str(data.get("name", "")))
        return {**found, **(_about if _about.get("job") == found["job"] else {})}
    return {name: _about[name] for name in FIELDS if name in _about}


def _subject_of(task_id: str, task: str) -> dict[str, str]:
    # a message that traces or stores has the trace's id (publishing.py)
    return {"job": task_id, "task": task, **({} if task == ROLL_UP_TASK else {"trace": task_id})}


@signals.setup_logging.connect
def _leave_the_log_alone(**_: object) -> None:
    """Keeps Celery, which sets up a log where nobody listens, from logging in a format of its own."""
    logging.getLogger().setLevel(logging.INFO)  # a child asks once, before it is told its format


@signals.worker_process_init.connect
def _set_up_child(**_: object) -> None:
    set_up_log(current_app.conf.circuitbase_log_format, settings=load_settings())


@signals.task_prerun.connect
def _begin(task_id: str, task: Any, args: Any, **_: object) -> None:
    _about.clear()
    _about.update(_subject_of(task_id, task.name))
    if task.name == ROLL_UP_TASK and args:
        _about["prompt_set"] = str(args[0])


@signals.task_postrun.connect
def _end(**_: object) -> None:
    _about.clear()
