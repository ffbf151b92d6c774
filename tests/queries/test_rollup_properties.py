"""Whatever is added, repeated and removed, in whatever order: the sums are those of the trace files."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.queries import pending
from circuitbase.queries.removal import remove_set, remove_trace
from circuitbase.queries.rollup import RollupReport, rebuild, roll_up
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.expected_sums import assert_sums_equal, expected_sums, stored_sums
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces

SETS = ("first", "second")
TRACES = synthetic_traces(4, n_layers=2, n_positions=3, n_features=5, active_per_position=2)
DATABASE = "neo4j"

set_names = st.sampled_from(SETS)
places = st.integers(0, len(TRACES) - 1)
steps = st.one_of(
    st.tuples(st.just("add"), set_names, places),
    st.tuples(st.just("add"), set_names, places),
    st.tuples(st.just("roll up"), st.one_of(st.none(), set_names), st.none()),
    st.tuples(st.just("remove trace"), st.none(), places),
    st.tuples(st.just("remove set"), set_names, st.none()),
    st.tuples(st.just("rebuild"), set_names, st.none()),
)


class Expected:
    """What should be stored: the members of each set, and the stored traces."""

    def __init__(self) -> None:
        self.members: dict[str, set[int]] = {}
        self.stored: set[int] = set()

    def traces_of(self, name: str) -> list[Trace]:
        return [TRACES[place] for place in sorted(self.members[name] & self.stored)]

    def remove_set(self, name: str) -> None:
        alone = self.members.pop(name).difference(*self.members.values())
        self.stored -= alone


@pytest.mark.timeout(900)
@hypothesis_settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=st.lists(steps, min_size=4, max_size=10))
def test_sums_equal_those_of_the_trace_files_after_any_sequence(
    sequence: list, database: Driver, settings: Settings
) -> None:
    store, expected = TraceStore(settings.store_url), Expected()
    for step in sequence:
        apply(step, database, settings, store, expected)
    roll_up(database, store=store, prompt_set=None, database=DATABASE)
    for name in expected.members:
        assert_sums_equal(stored_sums(database, name), expected_sums(expected.traces_of(name)))
    assert_nothing_is_left_when_all_is_removed(database, store, expected)


def apply(step: tuple, driver: Driver, settings: Settings, store: TraceStore, expected: Expected) -> None:
    match step:
        case ("add", name, place):
            put_traces(driver, settings, name, [TRACES[place]])
            expected.members.setdefault(name, set()).add(place)
            expected.stored.add(place)
        case ("roll up", name, None):
            roll_up(driver, store=store, prompt_set=name, database=DATABASE)
        case ("rebuild", name, None):
            rebuild(driver, store=store, prompt_set=name, database=DATABASE)
        case ("remove trace", None, place) if place in expected.stored:
            remove_trace(driver, TRACES[place].metadata.trace_id, store=store, database=DATABASE)
            expected.stored.remove(place)
        case ("remove set", name, None) if name in expected.members:
            remove_set(driver, name, database=DATABASE)
            expected.remove_set(name)


def assert_nothing_is_left_when_all_is_removed(driver: Driver, store: TraceStore, expected: Expected) -> None:
    for name in list(expected.members):
        remove_set(driver, name, database=DATABASE)
    left = driver.execute_query(
        "MATCH (n) WHERE n:Trace OR n:RemovedTrace OR n:TraceNode OR n:Prompt OR n:PromptSet OR n:RemovedSet "
        "OR n:Rollup RETURN count(n) AS n"
    ).records[0]["n"]
    assert left == 0


def test_three_rollups_at_once_add_each_trace_once(
    database: Driver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MOST_TRACES", 3)  # so that each has several transactions to contend for
    store = TraceStore(settings.store_url)
    traces = synthetic_traces(12, n_layers=2, n_positions=3, n_features=5, active_per_position=2)
    put_traces(database, settings, "words", traces)
    put_traces(database, settings, "others", traces[6:])
    start = Barrier(3)

    def rolled_up(_: int) -> RollupReport:
        start.wait()
        return roll_up(database, store=store, prompt_set=None, database=DATABASE)

    with ThreadPoolExecutor(3) as threads:
        reports = list(threads.map(rolled_up, range(3)))
    assert sum(report.traces for report in reports) == 18
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces))
    assert_sums_equal(stored_sums(database, "others"), expected_sums(traces[6:]))


def test_a_removal_and_rollups_at_once_agree(
    database: Driver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MOST_TRACES", 2)
    store = TraceStore(settings.store_url)
    traces = synthetic_traces(8, n_layers=2, n_positions=3, n_features=5, active_per_position=2)
    put_traces(database, settings, "words", traces)
    start = Barrier(3)

    def rolled_up() -> None:
        start.wait()
        roll_up(database, store=store, prompt_set="words", database=DATABASE)

    def removed() -> None:
        start.wait()
        for trace in traces[::2]:
            remove_trace(database, trace.metadata.trace_id, store=store, database=DATABASE)

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(work) for work in (rolled_up, removed, rolled_up)]:
            done.result()
    roll_up(database, store=store, prompt_set="words", database=DATABASE)
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces[1::2]))
