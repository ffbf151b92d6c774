"""Which tasks a worker has received and not ended, read from its log, which any supervisor has."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

_TASK = re.compile(r"Task (?P<name>[\w.]+)\[(?P<id>[^\]]+)\] (?P<what>\w+)")


@dataclass(frozen=True)
class TaskHeld:
    """A task by name, and the id of its message, which is a trace's unless it rolls up."""

    name: str
    id: str


def tasks_held(lines: Iterable[str]) -> list[TaskHeld]:
    """Returns the tasks that a log of JSON lines has begun and not ended, in the order of their receipt."""
    held: dict[TaskHeld, None] = {}
    for line in lines:
        if not line.startswith("{") or not line.endswith("}"):
            continue  # half a line, or one of the interpreter
        found = _TASK.match(json.loads(line)["message"])
        if found is None:
            continue
        task = TaskHeld(found["name"], found["id"])
        if found["what"] == "received":
            held[task] = None
        else:
            held.pop(task, None)
    return list(held)
