"""A foreign graph as an ordinary trace, which is unproven."""

from circuitbase.errors import GraphFileError, InputError
from circuitbase.graph.consistency import problems
from circuitbase.graph.trace import Trace
from circuitbase.ingest.foreign.cutting import Cutting, cut_graph
from circuitbase.ingest.foreign.foreign_graph import ForeignGraph
from circuitbase.ingest.foreign.imported_metadata import imported_metadata
from circuitbase.ingest.foreign.naming import Naming, named


def made_trace(graph: ForeignGraph, *, naming: Naming, cutting: Cutting, name: str) -> Trace:
    """Returns the trace that a foreign graph makes; raises GraphFileError, which calls it `name`."""
    whom = named(graph, naming, name=name)
    try:
        cut = cut_graph(graph, cutting)
    except InputError as error:
        raise GraphFileError(f"{name} is not a consistent graph file: {error}") from error
    found = problems(
        cut.graph,
        n_layers=graph.n_layers,
        n_positions=len(graph.token_ids),
        n_targets=len(graph.outputs),
        unproven=True,
    )
    if found:
        raise GraphFileError(
            f"{name} is not a consistent graph file: {'; '.join(found)}; export it again with the tool that wrote it"
        )
    return Trace(
        metadata=imported_metadata(graph, whom, cut, naming=naming, cutting=cutting, name=name), graph=cut.graph
    )
