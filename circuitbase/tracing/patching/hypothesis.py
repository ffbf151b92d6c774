"""A hypothesis for causal scrubbing: which nodes matter, and what of the prompt each of them depends on.

    {"name": "induction",
     "labels": {"period": ["6", "7"]},
     "output": {"inputs": [
         {"node": "a2.h1", "matters": [-1, "label:period"], "inputs": [
             {"node": "a1.h0", "port": "k", "matters": ["correct"]},
             {"node": "input", "port": "q", "matters": [-1]}]}]}}

The output is the logits. A node's `matters` say what its prompt must share with its parent's: a token position
(negative ones from the end), `correct` or `wrong` (the pair's answers) or `label:NAME`, one value per pair in the
file. A node without `inputs` is taken as it is on such a prompt; one with them is computed from them, and what they
do not name comes from a random prompt. A head's inputs say their `port`: q, k or v.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuitbase.errors import InputError
from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.component_graph import ComponentGraph

_PORTS = {"q": Port.Q, "k": Port.K, "v": Port.V}
_KEYS = {"node", "port", "matters", "inputs"}


@dataclass(frozen=True)
class HypothesisNode:
    """A node of the tree; `inputs` is None where the node is taken whole. The root is `logits`.

    `port` is the parent's input that it goes into (NONE unless the parent is a head).
    """

    node: str
    port: Port
    matters: tuple[int | str, ...]
    inputs: "tuple[HypothesisNode, ...] | None"

    @property
    def nodes(self) -> "tuple[HypothesisNode, ...]":
        """Returns the node and all below it."""
        return (self, *(node for child in self.inputs or () for node in child.nodes))


@dataclass(frozen=True)
class Hypothesis:
    """The tree under the logits, and the labels of the pairs that its nodes name."""

    name: str
    output: HypothesisNode
    labels: dict[str, tuple[Any, ...]]


def read_hypothesis(path: str | Path, *, graph: ComponentGraph, n_pairs: int) -> Hypothesis:
    """Returns the hypothesis of a JSON file; raises InputError with everything that is wrong with it."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the hypothesis {path} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise InputError(f"the hypothesis {path} should hold JSON, but cannot be read ({error})") from error
    if not isinstance(found, dict) or not isinstance(found.get("output"), dict):
        raise InputError(f'the hypothesis {path} should be an object with "output", a node with inputs, and is not')
    problems: list[str] = []
    labels = _labels(found.get("labels", {}), n_pairs=n_pairs, problems=problems)
    output = _node({"node": "logits", **found["output"]}, graph=graph, parent=None, labels=labels, problems=problems)
    if problems:
        raise InputError(f"the hypothesis {path} cannot be tested: {'; '.join(problems)}")
    return Hypothesis(str(found.get("name", Path(path).stem)), output, labels)


def _labels(given: Any, *, n_pairs: int, problems: list[str]) -> dict[str, tuple[Any, ...]]:
    if not isinstance(given, dict):
        problems.append('labels should be an object such as {"period": [6, 7]}')
        return {}
    for name, values in given.items():
        if not isinstance(values, list) or len(values) != n_pairs:
            problems.append(f"label {name!r} should list one value for each of the {n_pairs} pairs")
    return {name: tuple(json.dumps(value) for value in values) for name, values in given.items() if values}


def _node(
    given: Any, *, graph: ComponentGraph, parent: str | None, labels: dict[str, Any], problems: list[str]
) -> HypothesisNode:
    if not isinstance(given, dict):
        problems.append(f"a node should be an object with {', '.join(sorted(_KEYS))}, got {json.dumps(given)}")
        return HypothesisNode("input", Port.NONE, (), None)
    node, port = given.get("node"), given.get("port")
    where = f"node {node!r}" if parent is None else f"node {node!r} below {parent}"
    problems += [
        f"{where} has a key {key!r}, but only {', '.join(sorted(_KEYS))} are read" for key in given.keys() - _KEYS
    ]
    problems += _edge_problems(node, port, graph=graph, parent=parent, where=where)
    matters = given.get("matters", [])
    problems += _matter_problems(matters, labels=labels, where=where)
    inputs = given.get("inputs")
    if inputs is not None and (node == "input" or not isinstance(inputs, list)):
        problems.append(f"{where} should have a list of inputs, or none (the input has none)")
        inputs = None
    below = (
        None
        if inputs is None
        else tuple(_node(each, graph=graph, parent=str(node), labels=labels, problems=problems) for each in inputs)
    )
    named = [(child.node, child.port) for child in below or ()]
    problems += [f"{where} names its input {name} twice" for name, port in set(named) if named.count((name, port)) > 1]
    listed = tuple(matters) if isinstance(matters, list) else ()
    return HypothesisNode(str(node), _PORTS.get(str(port), Port.NONE), listed, below)


def _edge_problems(node: Any, port: Any, *, graph: ComponentGraph, parent: str | None, where: str) -> list[str]:
    if parent is None:
        return [] if node == "logits" and port is None else [f"{where} should be the logits, without a port"]
    if node not in graph.source_names:
        return [f"{where} is none of the model's: input, a0.h0 and so on, m0 and so on"]
    if parent.startswith("a") != (port in _PORTS):
        return [f"{where} should {'say its port, q, k or v' if parent.startswith('a') else 'have no port'}"]
    receiver = f"{parent}<{port}>" if port else parent
    if receiver not in graph.receiver_names:
        return []  # said of the parent
    if not graph.edges[graph.source_names.index(node), graph.receiver_names.index(receiver)]:
        return [f"{where} writes only after {parent} reads"]
    return []


def _matter_problems(matters: Any, *, labels: dict[str, Any], where: str) -> list[str]:
    if not isinstance(matters, list):
        return [f"what matters for {where} should be a list of positions, correct, wrong and label:NAME"]
    named = [f"label:{label}" for label in labels]
    return [
        f"what matters for {where} should be a position, correct, wrong or label:NAME with a label of the file, "
        f"got {json.dumps(matter)}"
        for matter in matters
        if not (type(matter) is int or matter in ("correct", "wrong") or matter in named)
    ]
