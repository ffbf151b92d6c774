import importlib
import pkgutil
from pathlib import Path

import pytest

import circuitbase
from circuitbase import ingest
from circuitbase.schema import constraints, migrations
from circuitbase.schema.cypher_names import undeclared_names

PACKAGE = Path(circuitbase.__file__).parent
KEYWORDS = ("MATCH ", "MERGE ", "CREATE ")


def ingest_texts() -> dict[str, str]:
    """Returns every string constant of the ingest room's modules that is Cypher."""
    modules = [
        importlib.import_module(f"{ingest.__name__}.{found.name}") for found in pkgutil.iter_modules(ingest.__path__)
    ]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, str) and not name.startswith("__") and any(word in value for word in KEYWORDS)
    }


def schema_texts() -> list[str]:
    return [*constraints.statements(), migrations.RECORD_VERSION, migrations.READ_VERSION]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.cypher")), ids=lambda path: path.name)
def test_every_cypher_file_uses_only_declared_names(path: Path):
    assert undeclared_names(path.read_text()) == []


@pytest.mark.parametrize("name", sorted(ingest_texts()))
def test_every_cypher_text_of_ingest_uses_only_declared_names(name: str):
    assert undeclared_names(ingest_texts()[name]) == []


@pytest.mark.parametrize("text", schema_texts())
def test_every_cypher_text_of_the_schema_uses_only_declared_names(text: str):
    assert undeclared_names(text) == []


def test_the_cypher_of_ingest_is_found():
    assert len(ingest_texts()) >= 15


@pytest.mark.parametrize(
    ("cypher", "undeclared"),
    [
        ("MATCH (n:Trce) RETURN n", ["Trce"]),
        ("MATCH (n:Trace {idd: $x}) RETURN n.foo, n.id", ["idd", "foo"]),
        ("MATCH (:Unit)-[r:DRIVES|DRIVESS*1..3 {bar: 1}]->(b) RETURN r.zork, b.zig", ["DRIVESS", "bar", "zork", "zig"]),
        ("MATCH (u:Unit) WHERE u:Featre RETURN u {.id, .nam, x: 1}", ["Featre", "nam"]),
        ("MATCH (u:Unit) WITH u AS v RETURN v.nme", ["nme"]),
        ("MATCH (u:Unit) RETURN u.induction", ["induction"]),
        ("MATCH (h:Head) RETURN h.induction, h.name, h.inductoin", ["inductoin"]),
        ("MATCH (u:Unit) SET u:Foo, u.bar = 1", ["Foo", "bar"]),
        ("MATCH (a)-[:AFFECTS]->(b:TraceNode WHERE b.wrong > 1) RETURN count(*)", ["wrong"]),
        ("MATCH (u:Feature&!L05) RETURN u.position", ["position"]),
        ("MATCH (t:Trace) WHERE EXISTS { (t)-[:OFF_PROMPT]->(:Prompt) } RETURN t", ["OFF_PROMPT"]),
        ("MATCH (p:Prompt) RETURN [(p)-[x:ACTIVATES]->(u:Unit) WHERE x.peek > 1 | u.name] AS n", ["peek"]),
        ("MATCH (n:Trace) WITH collect(n) AS ns UNWIND ns AS m RETURN m.nothing", ["nothing"]),
        ("MATCH (n:`Trace`) RETURN n.`no such`", ["no such"]),
    ],
)  # fmt: skip
def test_undeclared_names_are_found(cypher: str, undeclared: list[str]):
    assert [sentence.split(" is no declared ")[0] for sentence in undeclared_names(cypher)] == undeclared


@pytest.mark.parametrize(
    "cypher",
    [
        "// n.foo (x:Y)\n/* (m:Z) */ MATCH (u:Unit:Feature)-[d:DRIVES {rollup: $r}]->(v:L05) RETURN u {.id, n: u.name}",
        "MATCH (u:Unit) WHERE u.name = 'x.foo (m:Z)' RETURN u.id AS id ORDER BY id",
        "UNWIND $rows AS row MATCH (u:Unit {id: row.id}) SET u += row.more, u:$(row.labels) RETURN row.anything",
        "MATCH (:Prompt)-[m:IN_SET]->(:PromptSet {name: $set}) RETURN m.language, m.submitted_at.year, datetime().year",
        "MATCH (a:Unit) WITH {id: a.id, w: 1} AS thing RETURN thing.w, CASE WHEN a:Feature THEN 1 ELSE 2 END AS c",
        "MATCH p = (a:TraceNode)-[:AFFECTS*1..3]->(b) RETURN reduce(x = 1.0, r IN relationships(p) | x * r.share)",
        "CALL dbms.components() YIELD versions RETURN apoc.coll.sum([1]), versions[0]",
    ],
)
def test_declared_names_maps_rows_and_functions_pass(cypher: str):
    assert undeclared_names(cypher) == []
