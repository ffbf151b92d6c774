"""The schedule by itself."""

from collections import Counter

from tests.chaos.schedule import WORKER_KILLS, Plan, Stroke, drawn

PLAN = Plan(
    rounds=4,
    strokes={Stroke.KILL_TRACING: 7, Stroke.KILL_STORING: 2, Stroke.KILL_REDIS: 1, Stroke.CUT_NEO4J: 2},
    whole=3,
    longest_pause=1.0,
    longest_away=4.0,
)


def test_a_seed_gives_one_schedule_and_another_seed_another() -> None:
    assert drawn(PLAN, seed=1) == drawn(PLAN, seed=1) != drawn(PLAN, seed=2)


def test_every_stroke_of_the_plan_falls_in_some_round() -> None:
    rounds = drawn(PLAN, seed=1)
    events = [event for events in rounds for event in events]
    assert [len(events) for events in rounds] == [4, 4, 4, 0]
    assert Counter(event.stroke for event in events) == PLAN.strokes
    assert sum(event.whole for event in events) == PLAN.whole
    assert {event.stroke for event in events if event.whole} <= set(WORKER_KILLS)
    assert all(1.0 <= event.away <= 4.0 and 0.0 <= event.pause <= 1.0 for event in events)


def test_a_way_that_is_cut_twice_is_frozen_once_and_dropped_once() -> None:
    cuts = [event for events in drawn(PLAN, seed=1) for event in events if event.stroke is Stroke.CUT_NEO4J]
    assert sorted(event.frozen for event in cuts) == [False, True]
