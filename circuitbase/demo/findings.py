"""What the demo shows once everything is stored: totals, one global circuit, two sets compared."""

from dataclasses import dataclass
from pathlib import Path

from neo4j import Driver

from circuitbase.pages.circuit_plot import circuit_png
from circuitbase.pages.global_circuit_drawing import drawing_of
from circuitbase.queries.circuit import GlobalCircuit, global_circuit
from circuitbase.queries.contrast import Contrast, contrast
from circuitbase.queries.rollup_choice import choose_two_rollups
from circuitbase.queries.token_labels import peak_token_labels
from circuitbase.settings import Settings
from circuitbase.store.trace_store import write_bytes

SHOWN_SET = "capital-en"
COMPARED_SET = "capital-fr"

_TOTALS = """
MATCH (trace:Trace)
WITH count(trace) AS traces, sum(trace.n_nodes) AS nodes, sum(trace.n_edges) AS edges
RETURN traces, nodes, edges, COUNT { (:Unit) } AS units, COUNT { (:Prompt) } AS prompts,
       COUNT { (:PromptSet) } AS sets
"""


@dataclass(frozen=True)
class Totals:
    """How much the whole database holds."""

    sets: int
    prompts: int
    traces: int
    nodes: int
    edges: int
    units: int


@dataclass(frozen=True)
class Findings:
    """What is shown; `labels` are the commonest tokens at the peaks of features, by unit id."""

    totals: Totals
    circuit: GlobalCircuit
    contrast: Contrast
    labels: dict[str, str]
    picture: Path


def find(driver: Driver, settings: Settings, *, configuration: str) -> Findings:
    """Reads the findings from the sums of one configuration and draws the circuit into a PNG under the home."""
    with driver.session(database=settings.neo4j_database, default_access_mode="READ") as session:
        totals = Totals(**session.run(_TOTALS).single(strict=True).data())
        first, second = choose_two_rollups(session, SHOWN_SET, COMPARED_SET, configuration=configuration)
        circuit = global_circuit(session, first)
        compared = contrast(session, first, second)
        shown = [unit.id for unit in circuit.units] + [unit.id for unit in compared.units]
        shown += [end for edge in circuit.edges for end in (edge.source, edge.target)]
        labels = peak_token_labels(session, shown)
    picture = settings.home / "demo" / f"{SHOWN_SET}.png"
    write_bytes(circuit_png(drawing_of(circuit, labels)), str(picture))
    return Findings(totals=totals, circuit=circuit, contrast=compared, labels=labels, picture=picture)
