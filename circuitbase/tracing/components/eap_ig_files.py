"""EAP-IG's graph files, as JSON and as `.pt` (hannamw/EAP-IG, 2025-07).

Their sign and division: EAP-IG's score is `m(patched) − m(clean)` of the metric it is given, which is often minus
the metric that is meant (MIB: minus the logit difference), summed over examples and divided by their number, and
once more by the batch size where the metric is a batch mean. What is written here is the mean over pairs in
circuitbase's sign, that is, what EAP-IG itself would give for minus the metric in batches of one. What is read
is returned as it stands: neither the metric's sign nor the batch size is in the file. NaN means unscored.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_graph import ComponentGraph
from circuitbase.tracing.components.score_files import check_edges, read_json

_SIZES = ("n_layers", "n_heads", "parallel_attn_mlp", "d_model")
_ARRAYS = ("edges_scores", "edges_in_graph", "nodes_in_graph")


@dataclass(frozen=True)
class EapIgGraph:
    """A circuit as EAP-IG keeps it: scores (NaN: unscored; 0 where there is no edge), and what is in the circuit."""

    graph: ComponentGraph
    d_model: int
    scores: Float[np.ndarray, "source receiver"]
    edges_in_graph: Bool[np.ndarray, "source receiver"]
    nodes_in_graph: Bool[np.ndarray, " source"]


def whole_graph(graph: ComponentGraph, scores: Float[np.ndarray, "source receiver"], *, d_model: int) -> EapIgGraph:
    """Returns scores with every edge and node in the circuit."""
    return EapIgGraph(graph, d_model, scores, graph.edges, np.ones(graph.n_sources, dtype=bool))


def write_eap_ig(found: EapIgGraph, path: str | Path) -> None:
    """Writes a circuit; the suffix, `.json` or `.pt`, says how. Raises InputError for another suffix."""
    check_suffix(path)
    try:
        if Path(path).suffix == ".pt":
            import torch  # seconds, which a JSON file need not wait for

            torch.save(_as_arrays(found), path)
        else:
            Path(path).write_text(json.dumps(_as_names(found)) + "\n", encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} cannot be written ({' '.join(str(error).split())}); choose another place") from error


def read_eap_ig(path: str | Path) -> EapIgGraph:
    """Returns a circuit from a `.json` or `.pt` file; numbers alone are read from the latter.

    Raises InputError if it is none. Scores of nodes and neurons are left out.
    """
    check_suffix(path)
    return _from_arrays(Path(path)) if Path(path).suffix == ".pt" else _from_names(Path(path))


def check_suffix(path: str | Path) -> None:
    """Raises InputError unless the file's name says which of the two forms it has."""
    if Path(path).suffix not in (".json", ".pt"):
        raise InputError(f"an EAP-IG graph is a .json or a .pt file, got {path}; name it so")


def _sizes(found: EapIgGraph) -> dict[str, Any]:
    graph = found.graph
    return dict(zip(_SIZES, (graph.n_layers, graph.n_heads, graph.parallel, found.d_model), strict=True))


def _as_arrays(found: EapIgGraph) -> dict[str, Any]:
    import torch

    return {
        "cfg": _sizes(found),
        "src_nodes": list(found.graph.source_names),
        "dst_nodes": list(found.graph.receiver_names),
        "edges_scores": torch.from_numpy(found.scores).float(),
        "edges_in_graph": torch.from_numpy(found.edges_in_graph),
        "nodes_in_graph": torch.from_numpy(found.nodes_in_graph),
    }


def _as_names(found: EapIgGraph) -> dict[str, Any]:
    graph, mask = found.graph, found.graph.edges
    nodes = {
        name: {"in_graph": bool(there)} for name, there in zip(graph.source_names, found.nodes_in_graph, strict=True)
    }
    edges = zip(graph.edge_names(), found.scores[mask].tolist(), found.edges_in_graph[mask].tolist(), strict=True)
    return {
        "cfg": _sizes(found),
        "nodes": {**nodes, "logits": {"in_graph": True}},
        # a bare NaN is no JSON; EAP-IG's own file has one where an edge is unscored
        "edges": {
            name: {"score": None if math.isnan(score) else score, "in_graph": there} for name, score, there in edges
        },
    }


def _from_names(path: Path) -> EapIgGraph:
    given = read_json(path, what="the EAP-IG graph")
    if not all(isinstance(given.get(key), dict) for key in ("cfg", "nodes", "edges")):
        raise InputError(f"{path} should hold EAP-IG's cfg, nodes and edges, and does not; write it with Graph.to_json")
    graph, d_model = _graph(given["cfg"], path)
    check_edges(given["edges"], list(graph.edge_names()), path=path)
    scores, inside = np.zeros(graph.edges.shape), np.zeros(graph.edges.shape, dtype=bool)
    for name, edge in given["edges"].items():
        place = graph.edge(name)
        score = edge.get("score")
        scores[place] = math.nan if score is None else score
        inside[place] = bool(edge.get("in_graph", False))
    of_nodes = [bool(given["nodes"].get(name, {}).get("in_graph", False)) for name in graph.source_names]
    return EapIgGraph(graph, d_model, scores, inside, np.array(of_nodes))


def _from_arrays(path: Path) -> EapIgGraph:
    import torch

    try:
        given = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises whatever a broken file makes it
        raise InputError(f"{path} should be a file of torch with numbers alone, and is not ({error})") from error
    if not isinstance(given, dict) or not {"cfg", *_ARRAYS} <= set(given):
        raise InputError(f"{path} should hold cfg, {', '.join(_ARRAYS)}, and does not; write it with Graph.to_pt")
    graph, d_model = _graph(given["cfg"], path)
    scores, inside, of_nodes = (given[name].numpy() for name in _ARRAYS)
    if scores.shape != graph.edges.shape or inside.shape != graph.edges.shape:
        raise InputError(
            f"{path} should have scores of {list(graph.edges.shape)} (sources, receivers), got {list(scores.shape)}"
        )
    return EapIgGraph(
        graph=graph,
        d_model=d_model,
        scores=np.where(graph.edges, scores, 0).astype(np.float64),
        edges_in_graph=inside.astype(bool) & graph.edges,
        nodes_in_graph=of_nodes.astype(bool),
    )


def _graph(sizes: Any, path: Path) -> tuple[ComponentGraph, int]:
    if not isinstance(sizes, dict) or not set(_SIZES) <= set(sizes):
        raise InputError(f"the cfg of {path} should have {', '.join(_SIZES)}, and does not; correct it")
    graph = ComponentGraph(int(sizes["n_layers"]), int(sizes["n_heads"]), parallel=bool(sizes["parallel_attn_mlp"]))
    return graph, int(sizes["d_model"])
