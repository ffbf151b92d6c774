"""Job requests that no worker ever runs, for tests of the records themselves."""

from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.options import RoleTarget, TraceOptions
from circuitbase.workers.job_request import JobRequest


def made_request(text: str = "the alpha", *, model: str = "/models/tiny") -> JobRequest:
    return JobRequest(
        model=model,
        dictionary="/models/tiny-tc",
        prompt=TracedPrompt(text=text, token_ids=(0, 24), token_strings=("<bos>", "the"), positions_without_nodes=(0,)),
        roles=(RoleTarget(role="answer", token=3),),
        options=TraceOptions(target="roles"),
    )
