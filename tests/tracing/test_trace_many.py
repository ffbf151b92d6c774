"""Several prompts in one call."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.graph.trace import Trace
from circuitbase.store.trace_file import to_bytes
from circuitbase.tracing import prompt_batches
from circuitbase.tracing.attribution import trace_many
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.targets import AskedTarget, FeatureTarget, RoleTarget
from tests.tracing.cases import dense, keys
from tests.tracing.setups import Setup, make_setup

PROMPTS = [(0, 5, 9, 4), (0, 3, 12, 7), (0, 8, 8, 8), (0, 11, 2, 6, 14, 5), (0, 4), (0, 9), (0, 10, 3, 21)]
WHOLE = TraceOptions(prune=False)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return make_setup(tmp_path_factory.mktemp("many") / "model", "Gemma2ForCausalLM", dtype="float32")


def many(
    setup: Setup,
    options: TraceOptions,
    *,
    batch_size: int = 16,
    roles: Sequence[tuple[AskedTarget, ...]] | None = None,
) -> list[Trace]:
    prompts = [setup.read(tokens) for tokens in PROMPTS]
    return list(trace_many(setup.model, setup.dictionary, prompts, options, roles=roles, batch_size=batch_size))


@pytest.mark.parametrize("batch_size", [2, 16])
def test_prompts_traced_together_have_the_graphs_that_they_have_alone(setup: Setup, batch_size: int) -> None:
    for tokens, found in zip(PROMPTS, many(setup, WHOLE, batch_size=batch_size), strict=True):
        alone = setup.trace(WHOLE, tokens=tokens)
        assert found.metadata.prompt == alone.metadata.prompt
        assert found.metadata.prompt.token_ids == tokens
        assert found.metadata.trace_id == alone.metadata.trace_id
        assert keys(found.graph) == keys(alone.graph)
        assert np.abs(dense(found.graph) - dense(alone.graph)).max() <= 1e-5 * np.abs(dense(alone.graph)).max()
        np.testing.assert_allclose(found.graph.node_activation, alone.graph.node_activation, rtol=1e-4, atol=1e-5)
        assert found.metadata.scores.account_violation <= 1e-5


def test_a_prompt_that_runs_alone_has_the_same_bytes_every_time_and_after_others(setup: Setup) -> None:
    options = TraceOptions(heads=True)
    first = [to_bytes(setup.trace(options, tokens=tokens)) for tokens in PROMPTS[:3]]
    again = [to_bytes(setup.trace(options, tokens=tokens)) for tokens in reversed(PROMPTS[:3])]
    assert again[::-1] == first
    assert [to_bytes(found) for found in many(setup, options, batch_size=1)][:3] == first
    # the one prompt of its length runs alone in any batch
    assert to_bytes(many(setup, options)[3]) == to_bytes(setup.trace(options, tokens=PROMPTS[3]))


def test_every_prompt_has_the_targets_given_with_it(setup: Setup) -> None:
    roles = [(RoleTarget("answer", 2 + place, 20),) for place in range(len(PROMPTS))]
    options = replace(WHOLE, target="roles")
    for place, found in enumerate(many(setup, options, roles=roles)):
        assert [target.token for target in found.metadata.targets] == [2 + place]
        alone = setup.trace(options, *roles[place], tokens=PROMPTS[place])
        assert found.metadata.trace_id == alone.metadata.trace_id
        assert found.graph.node_preactivation[-1] == pytest.approx(alone.graph.node_preactivation[-1], abs=1e-5)


def test_no_prompts_give_no_traces(setup: Setup) -> None:
    assert list(trace_many(setup.model, setup.dictionary, [], WHOLE)) == []


def feature_at(position: int, *, layer: int = 0, feature: int = 0) -> tuple[AskedTarget, ...]:
    return (FeatureTarget(layer, feature, position),)


@pytest.mark.parametrize(
    ("options", "last", "sentence"),
    [
        (TraceOptions(target="features"), None, "there must be targets for each of the 7 prompts, got 6"),
        (TraceOptions(target="features"), (), "needs at least one feature at a position"),
        (TraceOptions(target="features"), feature_at(1, layer=3), "the layer of a target feature must be 0 to 2"),
        (TraceOptions(target="features"), feature_at(1, feature=12), "a feature of layer 0 must be 0 to 11, got 12"),
        (TraceOptions(target="features"), feature_at(4), "must be 0 to 3 on this prompt, got 4"),
        (TraceOptions(target="features"), feature_at(0), "position 0 has no nodes on this prompt"),
        (TraceOptions(target="features", silent=((5, 0),)), feature_at(1), "the layer of a feature must be 0 to 2"),
        (TraceOptions(target="features", dtype="float64"), feature_at(1), "must be loaded in the dtype of the options"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_run(
    setup: Setup,
    options: TraceOptions,
    last: tuple[AskedTarget, ...] | None,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prompt_batches, "run_prompts", lambda *_: pytest.fail("a prompt was run"))
    roles = [feature_at(1) for _ in PROMPTS[:-1]] + ([] if last is None else [last])
    with pytest.raises(InputError, match=sentence):
        many(setup, options, roles=roles)
