from dataclasses import replace

from circuitbase.graph.trace import TraceMetadata
from tests.synthetic import synthetic_trace


def test_how_a_prompt_was_read_is_kept_but_does_not_enter_the_traces_id() -> None:
    found = synthetic_trace(0).metadata
    chat = replace(found, prompt=replace(found.prompt, bos_added=True, chat=True))
    assert chat.trace_id == found.trace_id
    assert chat.prompt_id == found.prompt_id
    assert TraceMetadata.from_json(chat.as_json()).prompt == chat.prompt


def test_a_trace_that_does_not_say_how_its_prompt_was_read_is_read_all_the_same() -> None:
    found = synthetic_trace(0).metadata
    described = found.as_json()
    described["prompt"] = {
        name: value for name, value in described["prompt"].items() if name not in ("chat", "bos_added")
    }
    assert TraceMetadata.from_json(described).prompt == found.prompt
