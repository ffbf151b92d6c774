"""What is checked of a component trace before a model is loaded, and the prompt as such a trace has it."""

from dataclasses import replace

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt


def component_prompt(prompt: TracedPrompt) -> TracedPrompt:
    """Returns the prompt with nodes at every position; what keeps features from the first is no part of a model.

    Raises InputError for a prompt of one position.
    """
    if len(prompt.token_ids) < 2:
        raise InputError(
            "a component trace needs at least two positions, for with one nothing is attended to but itself, got a "
            f"prompt of {len(prompt.token_ids)} token; give a longer prompt"
        )
    return replace(prompt, positions_without_nodes=())
