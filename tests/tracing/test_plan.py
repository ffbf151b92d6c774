import subprocess
import sys

import pytest

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.options import RoleTarget, TraceOptions
from circuitbase.tracing.plan import Plan, plan
from tests.synthetic import synthetic_dictionary, synthetic_model

PROMPT = TracedPrompt(text="a b", token_ids=(0, 1, 2), token_strings=("<bos>", "a", "b"), positions_without_nodes=(0,))
ROLE = RoleTarget("answer-distractor", 3, 4)
PROBABLE = TraceOptions()
ROLES = TraceOptions(target="roles")


def planned(
    prompt: TracedPrompt = PROMPT, roles: tuple[RoleTarget, ...] = (), options: TraceOptions = PROBABLE
) -> Plan:
    model = synthetic_model()
    return plan(model, synthetic_dictionary(model), prompt, roles, options)


def test_the_text_of_a_prompt_is_no_part_of_its_ids() -> None:
    other = TracedPrompt(text=None, token_ids=(0, 1, 2), token_strings=("", "", ""), positions_without_nodes=(0,))
    assert planned(other) == planned()


def test_every_option_that_changes_numbers_changes_the_configuration() -> None:
    configurations = {
        planned(options=options, roles=(ROLE,)).configuration_id
        for options in (
            TraceOptions(),
            TraceOptions(dtype="float64"),
            TraceOptions(prune=False),
            TraceOptions(node_threshold=0.7),
            TraceOptions(edge_threshold=0.7),
            TraceOptions(max_outputs=3),
            TraceOptions(output_probability=0.5),
            ROLES,
        )
    }
    assert len(configurations) == 8


def test_prompts_with_other_answers_share_a_configuration_but_no_trace() -> None:
    one, other = planned(roles=(ROLE,), options=ROLES), planned(roles=(RoleTarget(ROLE.role, 3, 5),), options=ROLES)
    assert one.configuration_id == other.configuration_id
    assert one.prompt_id == other.prompt_id
    assert one.trace_id != other.trace_id


def test_positions_without_nodes_change_the_trace() -> None:
    other = TracedPrompt(text="a b", token_ids=(0, 1, 2), token_strings=("", "", ""), positions_without_nodes=(0, 1))
    assert planned(other).trace_id != planned().trace_id
    assert planned(other).prompt_id == planned().prompt_id


@pytest.mark.parametrize(
    ("roles", "sentence"),
    [
        ((), "needs an answer"),
        ((ROLE, ROLE), "each role must be given once"),
        ((RoleTarget("answer", 60),), "the token of role answer must be 0 to 59, got 60"),
        ((RoleTarget("answer", 1, -1),), "the token of role answer must be 0 to 59, got -1"),
        ((RoleTarget("answer", 1, 1),), "must compare two tokens, got 1 twice"),
    ],
)
def test_roles_that_cannot_be_traced_are_refused(roles: tuple[RoleTarget, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        planned(roles=roles, options=ROLES)


def test_planning_needs_no_torch() -> None:
    modules = ("identities", "tokenizing", "plan", "options")
    imports = "; ".join(f"import circuitbase.tracing.{module}" for module in modules)
    code = f"import sys; {imports}; print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
