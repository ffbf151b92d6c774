"""Which traces a consensus compares: those of the same prompts under several configurations of one model."""

from collections.abc import Sequence
from dataclasses import replace

from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.queries.configuration_facts import configuration_facts
from circuitbase.queries.rollup_choice import ChosenRollup, rollups_of
from circuitbase.queries.selection import Selection


def chosen_configurations(session: Session, prompt_set: str, wanted: Sequence[str]) -> list[ChosenRollup]:
    """Returns the rollups of a set under every configuration, or under those whose name or id begins as one of some.

    Raises InputError for fewer than two, and for configurations of different models, which share no unit.
    """
    every = rollups_of(session, prompt_set, configuration=None)
    chosen = [rollups_of(session, prompt_set, configuration=beginning) for beginning in wanted] or [every]
    fitting = {each.id for rollups in chosen for each in rollups}
    if len(fitting) < 2:
        names = "; ".join(each.configuration_name for each in every)
        raise InputError(
            f"a consensus is of two configurations or more, but {prompt_set!r} has {len(fitting)} of those asked for "
            f"({names}); submit the same prompts again with another target, --max-features, dictionary or pruning"
        )
    found = [each for each in every if each.id in fitting]
    models = {facts.parts["model"] for facts in configuration_facts(session, [each.configuration for each in found])}
    if len(models) > 1:
        raise InputError(
            f"the configurations should be of one model, for units of different ones are never the same, but are of "
            f"{', '.join(sorted(models))}; choose with --configuration, given once for each"
        )
    return found


def on_common_prompts(selections: Sequence[Selection]) -> list[Selection]:
    """Returns each configuration's traces of the prompts that all have traced; raises InputError if there are none."""
    common = set.intersection(*({trace.prompt for trace in each.traces} for each in selections))
    if not common:
        counts = "; ".join(f"{each.configuration_name} ({len(each.traces)} traces)" for each in selections)
        raise InputError(f"no prompt is traced under all of these configurations, so nothing compares: {counts}")
    return [_restricted(each, common) for each in selections]


def _restricted(selection: Selection, prompts: set[str]) -> Selection:
    kept = tuple(trace for trace in selection.traces if trace.prompt in prompts)
    return selection if len(kept) == len(selection.traces) else replace(selection, traces=kept, rollup=None)
