"""What a job asks for: everything that a trace task needs beside the trace id."""

import json
from dataclasses import dataclass
from typing import Any

from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.options import RoleTarget, TraceOptions


@dataclass(frozen=True)
class JobRequest:
    """Everything a trace task needs beside the trace id; `model` and `dictionary` are folders.

    A trace of components has no dictionary. `any_model_name` takes a dictionary that names another model.
    """

    model: str
    dictionary: str | None
    prompt: TracedPrompt
    roles: tuple[RoleTarget, ...]
    options: TraceOptions | ComponentOptions
    any_model_name: bool = False

    def to_json(self) -> str:
        """Returns the request as JSON."""
        found = {
            **vars(self),  # asdict() would copy every number first, which took longer than all else in submitting
            "prompt": vars(self.prompt),
            "roles": [vars(role) for role in self.roles],
            "options": vars(self.options),
            "kind": self.options.kind,
        }
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "JobRequest":
        """Returns the request that `to_json` wrote."""
        found = json.loads(text)
        prompt: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found["prompt"].items()
        }
        return cls(
            model=found["model"],
            dictionary=found["dictionary"],
            prompt=TracedPrompt(**prompt),
            roles=tuple(RoleTarget(**role) for role in found["roles"]),
            options=_options(found["options"], kind=found.get("kind", TraceOptions.kind)),
            any_model_name=found.get("any_model_name", False),
        )


def _options(found: dict[str, Any], *, kind: str) -> TraceOptions | ComponentOptions:
    if kind == ComponentOptions.kind:
        return ComponentOptions(**found)
    silent = tuple((layer, feature) for layer, feature in found["silent"])
    heads = tuple((layer, head, query) for layer, head, query in found.get("explain_attention", ()))
    return TraceOptions(**{**found, "silent": silent, "explain_attention": heads})
