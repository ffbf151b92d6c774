"""Which rollup a reader means: a prompt set, and the configuration where there are several."""

from dataclasses import dataclass

from neo4j import Session

from circuitbase.errors import InputError

_SET_EXISTS = "OPTIONAL MATCH (set:PromptSet {name: $set}) RETURN set IS NOT NULL AS found"
_ROLLUPS = """
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set})
MATCH (rollup)-[:UNDER]->(configuration:Configuration)
WHERE rollup.traces > 0 AND NOT rollup.stale
RETURN rollup.id AS id, rollup.traces AS traces, configuration.id AS configuration,
       configuration.name AS configuration_name
ORDER BY configuration_name, configuration
"""


@dataclass(frozen=True)
class ChosenRollup:
    """The rollup of one prompt set under one configuration."""

    id: str
    prompt_set: str
    configuration: str
    configuration_name: str
    traces: int


def check_set(session: Session, prompt_set: str) -> None:
    """Raises InputError if there is no such prompt set."""
    if not session.run(_SET_EXISTS, set=prompt_set).single(strict=True)["found"]:
        raise InputError(f"there is no prompt set {prompt_set!r}; `circuitbase sets` lists them")


def rollups_of(session: Session, prompt_set: str, *, configuration: str | None) -> list[ChosenRollup]:
    """Returns the rollups of a set, those alone whose configuration's name or id begins as given.

    Raises InputError if there is no such set, or nothing of it is summed.
    """
    check_set(session, prompt_set)
    found = [
        ChosenRollup(
            id=row["id"],
            prompt_set=prompt_set,
            configuration=row["configuration"],
            configuration_name=row["configuration_name"],
            traces=row["traces"],
        )
        for row in session.run(_ROLLUPS, set=prompt_set)
    ]
    if not found:
        raise InputError(
            f"prompt set {prompt_set!r} has no stored traces yet; "
            "see `circuitbase jobs`, and start a worker with `circuitbase worker`"
        )
    if configuration is None:
        return found
    fitting = [
        each
        for each in found
        if each.configuration.startswith(configuration) or each.configuration_name.startswith(configuration)
    ]
    if not fitting:
        names = "; ".join(each.configuration_name for each in found)
        raise InputError(
            f"prompt set {prompt_set!r} has no traces under a configuration {configuration!r}; it has: {names}"
        )
    return fitting


def choose_rollup(session: Session, prompt_set: str, *, configuration: str | None) -> ChosenRollup:
    """Returns the one rollup of a set that is meant; raises InputError that lists several."""
    return _the_one(rollups_of(session, prompt_set, configuration=configuration), what=f"prompt set {prompt_set!r}")


def choose_two_rollups(
    session: Session, first: str, second: str, *, configuration: str | None
) -> tuple[ChosenRollup, ChosenRollup]:
    """Returns the rollups of two sets under the one configuration that they share; raises InputError."""
    of_first = rollups_of(session, first, configuration=configuration)
    of_second = {each.configuration: each for each in rollups_of(session, second, configuration=configuration)}
    shared = [each for each in of_first if each.configuration in of_second]
    if not shared:
        raise InputError(
            f"prompt sets {first!r} and {second!r} have no configuration in common, so nothing of them compares: "
            f"{'; '.join(each.configuration_name for each in of_first)} against "
            f"{'; '.join(each.configuration_name for each in of_second.values())}; "
            "submit one of them again with the other's model, dictionary and options"
        )
    chosen = _the_one(shared, what=f"prompt sets {first!r} and {second!r}")
    return chosen, of_second[chosen.configuration]


def _the_one(found: list[ChosenRollup], *, what: str) -> ChosenRollup:
    if len(found) > 1:
        names = "\n".join(f"  {each.configuration_name} ({each.traces} traces)" for each in found)
        raise InputError(
            f"{what} has traces under {len(found)} configurations, which never mix; choose one with "
            f"--configuration:\n{names}"
        )
    return found[0]
