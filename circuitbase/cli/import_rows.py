"""Rows of `import`: what was stored or written, and what a file holds."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from circuitbase.graph.trace import Trace


def count(found: dict[str, int], trace: "Trace") -> None:
    """Adds the sizes of a trace to those numbers that are kept of them."""
    for name, number in sizes(trace).items():
        if name in found:
            found[name] += number


def sizes(trace: "Trace") -> dict[str, int]:
    """Returns how much there is of everything that a graph file holds."""
    from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind

    kinds, imported = trace.graph.node_kind.tolist(), trace.metadata.imported
    return {
        "tokens": len(trace.metadata.prompt.token_ids),
        "nodes": trace.graph.n_nodes,
        "edges": trace.graph.n_edges,
        "features": kinds.count(NodeKind.FEATURE),
        "errors": kinds.count(NodeKind.LAYER_ERROR),
        "outputs": sum(kinds.count(kind) for kind in OUTPUT_KINDS),
        "labels": len(imported.labels) if imported else 0,
        "supernodes": len(imported.supernodes) if imported else 0,
    }


def file_row(location: str, trace: "Trace") -> dict[str, Any]:
    """Returns what a file holds."""
    metadata = trace.metadata
    return {
        "file": location,
        "format": metadata.imported.format if metadata.imported else None,
        "model": metadata.model.id,
        "dictionary": metadata.dictionary.name if metadata.dictionary else None,
        **sizes(trace),
        "warnings": list(metadata.warnings),
    }
