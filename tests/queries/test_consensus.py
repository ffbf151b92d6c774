from collections import Counter
from collections.abc import Sequence

import pytest
from neo4j import Driver, Session

from circuitbase.errors import InputError
from circuitbase.graph.trace import Trace
from circuitbase.queries.configuration_facts import differing_parts, only_prunings_differ
from circuitbase.queries.consensus import Consensus, ConsensusEdge, consensus, consensus_by_prompt
from circuitbase.queries.consensus_choice import chosen_configurations, on_common_prompts
from circuitbase.queries.edge_counts import EdgeCounts, RollupCounts, SummedCounts
from circuitbase.queries.relabelling import Relabelling, by_role
from circuitbase.queries.selection import Selection, whole_set
from circuitbase.queries.selection_sums import selection_sums
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.configured import capped, loose, put_configurations, strict, under_another_dictionary
from tests.queries.expected_sums import observed_edges

Edge = tuple[str, str, int]


def read(
    session: Session,
    settings: Settings,
    *,
    wanted: Sequence[str] = (),
    min_presence: float = 0.5,
    summed: bool = False,
    relabelling: Relabelling | None = None,
) -> Consensus:
    store = TraceStore(settings.store_url)
    whole = [whole_set(session, each) for each in chosen_configurations(session, "capital-en", wanted)]
    selections = on_common_prompts(whole)

    def counts(selection: Selection) -> EdgeCounts:
        if selection.rollup is None or summed or relabelling:
            return SummedCounts(selection_sums(session, store, selection, relabelling=relabelling))
        return RollupCounts(session, selection.rollup.id)

    return consensus(session, selections, counts=[counts(each) for each in selections], min_presence=min_presence)


def counted(traces: Sequence[Trace]) -> Counter[Edge]:
    return Counter(edge for trace in traces for edge in observed_edges(trace))


def holding(traces: Sequence[Trace], least: int) -> set[Edge]:
    return {edge for edge, times in counted(traces).items() if times >= least}


def edges(found: Sequence[ConsensusEdge]) -> set[Edge]:
    return {each.edge for each in found}


def test_core_and_contingent_edges_are_those_of_the_trace_files(database: Driver, settings: Settings) -> None:
    sets = [loose(), capped()]
    put_configurations(database, settings, "capital-en", *sets)
    with database.session() as session:
        found = read(session, settings)
        again = read(session, settings, summed=True)
    first, second = (holding(each, 2) for each in sets)
    assert edges(found.core) == first & second
    assert edges(found.contingent) == first ^ second
    assert found.prompts == 4 and differing_parts(found.facts) == ["max_features"]
    assert not only_prunings_differ(found.facts)
    of = {each.configuration: number for number, each in enumerate(found.selections)}
    order = [of[each[0].metadata.configuration_id] for each in sets]
    times = [counted(each) for each in sets]
    for each in (*found.core, *found.contingent):
        assert [each.traces[number] for number in order] == [count[each.edge] for count in times]
        assert each.kept == pytest.approx(sum(each.presence) / 2)
        assert [sign == "." for sign in each.signs] == [count == 0 for count in each.traces]
    influences = [each.mean_influence for each in found.core]
    assert influences == sorted(influences, reverse=True)
    # summed on the fly it is the same, but for rounding
    assert [(each.edge, each.traces, each.signs) for each in sorted(again.core, key=lambda each: each.edge)] == [
        (each.edge, each.traces, each.signs) for each in sorted(found.core, key=lambda each: each.edge)
    ]


def test_under_prunings_alone_the_core_is_the_strictest_and_the_union_the_loosest(
    database: Driver, settings: Settings
) -> None:
    put_configurations(database, settings, "capital-en", loose(), strict())
    with database.session() as session:
        found = read(session, settings)
    assert only_prunings_differ(found.facts) and differing_parts(found.facts) == ["node_threshold"]
    assert edges(found.core) == holding(strict(), 2)
    assert edges(found.core) | edges(found.contingent) == holding(loose(), 2)


def test_only_prompts_that_all_configurations_have_count(database: Driver, settings: Settings) -> None:
    put_configurations(database, settings, "capital-en", loose(6), capped(4)[1:])
    with database.session() as session:
        found = read(session, settings)
    assert found.prompts == 3
    assert sorted(each.rollup is None for each in found.selections) == [False, True]
    assert edges(found.core) == holding(loose()[1:], 2) & holding(capped(4)[1:], 2)


def test_configurations_of_two_dictionaries_share_no_feature(database: Driver, settings: Settings) -> None:
    put_configurations(database, settings, "capital-en", loose(), under_another_dictionary(loose()))
    with database.session() as session:
        found = read(session, settings)
        roles = read(session, settings, relabelling=by_role)
    assert "dictionary" in differing_parts(found.facts)
    ends = {end for each in found.core for end in each.edge[:2]}
    assert all("/in/" in end or "/out/" in end for end in ends)
    assert found.contingent
    assert any("@elsewhere" in each.edge[0] for each in (*roles.core, *roles.contingent))


def test_agreement_prompt_by_prompt_is_that_of_the_trace_files(database: Driver, settings: Settings) -> None:
    sets = [loose(), capped()]
    put_configurations(database, settings, "capital-en", *sets)
    with database.session() as session:
        found = read(session, settings)
        shown = [each.edge for each in (*found.core[:5], *found.contingent[:5])]
        agreement = consensus_by_prompt(session, TraceStore(settings.store_url), found.selections, shown)
    for number, edge in enumerate(shown):
        kept = [[edge in observed_edges(trace) for trace in traces] for traces in sets]
        of_prompts = [sum(pair) / 2 for pair in zip(*kept, strict=True) if any(pair)]
        assert agreement.prompts[number] == len(of_prompts)
        assert agreement.agreement[number] == pytest.approx(sum(of_prompts) / len(of_prompts))
        assert agreement.in_all[number] == pytest.approx(of_prompts.count(1.0) / len(of_prompts))


def test_fewer_than_two_configurations_and_no_common_prompt_are_refused(database: Driver, settings: Settings) -> None:
    put_configurations(database, settings, "capital-en", loose(2))
    with database.session() as session:
        with pytest.raises(InputError, match=r"of two configurations or more, but 'capital-en' has 1 of those"):
            chosen_configurations(session, "capital-en", [])
        with pytest.raises(InputError, match="there is no prompt set 'nowhere'"):
            chosen_configurations(session, "nowhere", [])
    put_configurations(database, settings, "capital-en", capped(4)[2:])
    with database.session() as session:
        both = chosen_configurations(session, "capital-en", [])
        assert chosen_configurations(session, "capital-en", [both[0].configuration[:12], "synthetic/tc"]) == both
        with pytest.raises(InputError, match="no traces under a configuration 'another'"):
            chosen_configurations(session, "capital-en", [both[0].configuration, "another"])
        with pytest.raises(InputError, match="no prompt is traced under all of these configurations"):
            on_common_prompts([whole_set(session, each) for each in both])
        with pytest.raises(InputError, match="must be a fraction from 0 to 1, got 2"):
            consensus(session, [whole_set(session, each) for each in both], counts=[], min_presence=2.0)
