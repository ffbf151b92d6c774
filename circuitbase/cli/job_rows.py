"""Jobs as rows, with nothing secret in them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from circuitbase.workers.jobs import Job

PROMPT_WIDTH = 48


def job_row(job: "Job", *, brief: bool) -> dict[str, Any]:
    """Returns a job as a row; `brief` cuts what is long."""
    text = input_text(job)
    if brief and len(text) > PROMPT_WIDTH:
        text = text[: PROMPT_WIDTH - 1] + "…"
    return {
        "trace": job.trace_id[:12] if brief else job.trace_id,
        "state": job.state.value,
        "sets": ", ".join(job.prompt_sets) if brief else list(job.prompt_sets),
        "prompt": text,
        "model": job.request.model,
        "priority": job.priority,
        "attempts": job.attempts,
        "queued_at": _time(job.queued_at),
        "changed_at": _time(job.changed_at),
        "error": job.error,
    }


def input_text(job: "Job") -> str:
    """Returns the prompt of a job, or its tokens where it was given as tokens."""
    prompt = job.request.prompt.text
    return prompt if prompt is not None else " ".join(job.request.prompt.token_strings)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
