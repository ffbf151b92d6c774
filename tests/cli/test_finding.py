from circuitbase.graph.trace import Trace
from tests.cli.running import refusal, rows, run

Sets = dict[str, list[Trace]]


def feature_of_most_traces() -> str:
    return str(
        rows("cypher", "MATCH (u:Feature)<-[:OF]-(n) RETURN u.name AS u, count(n) AS n ORDER BY n DESC, u LIMIT 1")[0][
            "u"
        ]
    )


def test_prompts_with_a_path_are_listed_by_strength(pending_sets: Sets) -> None:
    unit = feature_of_most_traces()
    found = rows("find", f"* -> {unit} -> *")
    assert found and [row["strength"] for row in found] == sorted((row["strength"] for row in found), reverse=True)
    for row in found:
        assert f" -> {unit} -> " in row["path"] and len(row["positions"]) == 3 and row["prompt"]
    of_set = rows("find", f"* -> {unit} -> *", "--set", "capital-fr", "--limit", "2")
    assert {row["trace"] for row in of_set} <= {trace.metadata.trace_id for trace in pending_sets["capital-fr"]}
    shown = run("find", f"* -> {unit}", "--limit", "1", "--table").stdout
    assert f"* -> {unit}: 1 of " in shown


def test_the_cypher_of_a_search_gives_what_it_finds(pending_sets: Sets) -> None:
    unit = feature_of_most_traces()
    text = run("find", f"{unit} -> *", "--as-cypher").stdout
    parameters, _, query = text.partition("UNWIND")
    given = [line.removeprefix(":param ").removesuffix(";").replace(" => ", "=", 1) for line in parameters.splitlines()]
    again = rows("cypher", "UNWIND" + query.rstrip().removesuffix(";"), *given)
    assert [row["trace"] for row in again] == [row["trace"] for row in rows("find", f"{unit} -> *")]


def test_what_cannot_be_searched_gets_a_sentence(pending_sets: Sets) -> None:
    for sentence, *arguments in (
        ("a path has 2 to 4 units", "answer"),
        ("a path names at least one unit", "* -> *"),
        ("there is no unit L99/F00001", "L99/F00001 -> *"),
        ("there is no prompt set 'nowhere'", "L00/F00000 -> *", "--set", "nowhere"),
    ):
        assert sentence in refusal("find", *arguments)


def test_what_a_short_name_was_taken_for_is_said(pending_sets: Sets) -> None:
    (row,) = rows(
        "cypher", "MATCH (u:InputToken)<-[:OF]-(n) RETURN u.name AS u, count(n) AS n ORDER BY n DESC, u SKIP 1 LIMIT 1"
    )
    short = row["u"].replace('" ', '"')
    assert f"{short} was taken for {row['u']}." in run("find", f"{short} -> *").stderr
