"""A worker without torch that makes a small trace of whatever prompt was really submitted, and notes each.

Run as `python -m tests.workers.twice worker ...`; the worker's child imports this file again.
"""

import sys
from dataclasses import replace

from circuitbase.cli.main import main
from circuitbase.graph.trace import Trace
from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity
from circuitbase.tracing.options import TraceOptions
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.process import WorkerProcess
from tests.synthetic import synthetic_trace
from tests.workers.poisonous import note_computed

PROGRAM = ("-m", "tests.workers.twice")


def act(self: WorkerProcess, request: JobRequest, *, trace_id: str) -> Trace:
    """Notes the id and returns `made_trace`."""
    note_computed(self.settings.store_url, trace_id)
    return made_trace(request)


def made_trace(request: JobRequest) -> Trace:
    """Returns a trace with the id that a request plans, of numbers that no model computed."""
    assert isinstance(request.options, TraceOptions) and request.dictionary is not None
    model = read_model_identity(request.model)
    dictionary = read_dictionary_identity(request.dictionary, model=model)
    made = synthetic_trace(
        7,
        n_layers=model.n_layers,
        n_features=dictionary.n_features,
        active_per_position=2,
        options=request.options,
        token_ids=request.prompt.token_ids,
    )
    return replace(made, metadata=replace(made.metadata, model=model, dictionary=dictionary, prompt=request.prompt))


if __name__ in ("__main__", "__mp_main__"):  # a worker, or its child
    WorkerProcess.trace = act  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    sys.exit(main(prog_name="circuitbase"))
