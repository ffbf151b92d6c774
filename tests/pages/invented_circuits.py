"""Global circuits of any size, invented: tokens, features of several layers, heads, errors, outputs."""

import numpy as np

from circuitbase.queries.circuit import CircuitEdge, CircuitUnit, GlobalCircuit
from circuitbase.queries.intervals import wilson
from circuitbase.queries.rollup_choice import ChosenRollup

MODEL = "atlas@0123abcd"
TRACES = 120
ROLES = ("city", "relation", "end")  # in the order of their positions
WORDS = ("Bordeaux", "capital", "gouverneur", "the", "Oriole", "$x_1$", "東京", "state of", "WWWWWWWWWWWWWWWWWW", "\n")


def invented_circuit(
    n_units: int, *, seed: int = 0, layers: int = 6, edges_per_unit: float = 2.5, by_role: bool = False
) -> GlobalCircuit:
    """Returns a circuit of `n_units` units; edges run upwards, and to later roles where there are roles."""
    random = np.random.default_rng(seed)
    n_tokens, n_outputs = max(2, n_units // 12), max(1, n_units // 60)
    units: list[CircuitUnit] = []
    for number in range(n_units):
        role = ROLES[int(random.integers(len(ROLES)))] if by_role else None
        at = "" if role is None else f"@{role}"
        said = "" if role is None else f" [{role}]"
        layer = int(random.integers(layers))
        if number < n_outputs:
            word = WORDS[number % len(WORDS)]
            units.append(_unit(random, f"{MODEL}/out/{number}", f'out " {word}"', "OutputToken", token=f" {word}"))
        elif number < n_outputs + n_tokens and role is None:
            word = WORDS[number % len(WORDS)]
            units.append(_unit(random, f"{MODEL}/in/{number}", f'in " {word}"', "InputToken", token=f" {word}"))
        elif number < n_outputs + min(n_tokens, len(ROLES)):
            name = ROLES[number - n_outputs]
            units.append(_unit(random, f"{MODEL}/in/@{name}", f"[{name}]", "InputToken", token=f"[{name}]"))
        elif number % 11 == 0:
            name = f"L{layer:02d}/H{number}"
            units.append(_unit(random, f"{MODEL}/{name}{at}", name + said, "Head", layer=layer))
        elif number % 17 == 0:
            name = f"L{layer:02d}/error{number}"
            units.append(_unit(random, f"{MODEL}/tc/{name}{at}", name + said, "LayerError", layer=layer))
        else:
            name = f"L{layer:02d}/F{number:05d}"
            units.append(_unit(random, f"{MODEL}/tc/{name}{at}", name + said, "Feature", layer=layer))
    edges = _edges(random, units, n_edges=int(edges_per_unit * n_units))
    return GlobalCircuit(
        rollup=ChosenRollup(
            id="r",
            prompt_set="two-hop",
            configuration="c" * 64,
            configuration_name="atlas/tc/probable@cccccccc",
            traces=TRACES,
        ),
        min_presence=0.3,
        by="influence",
        units=tuple(units),
        edges=tuple(edges),
        n_units=n_units + 1000,
        n_edges=len(edges) + 4000,
    )


def invented_labels(circuit: GlobalCircuit, *, seed: int = 0) -> dict[str, str]:
    """Returns labels of its features, some of them long."""
    random = np.random.default_rng(seed)
    return {
        unit.id: ", ".join(str(word) for word in random.choice(WORDS, size=int(random.integers(1, 4))))
        for unit in circuit.units
        if unit.kind == "Feature"
    }


def _unit(
    random: np.random.Generator, id: str, name: str, kind: str, *, layer: int | None = None, token: str | None = None
) -> CircuitUnit:
    traced = int(random.integers(TRACES // 3, TRACES + 1))
    return CircuitUnit(
        id=id,
        name=name,
        kind=kind,
        layer=layer,
        token=token,
        traced=traced,
        active_traces=TRACES,
        presence=wilson(traced, TRACES),
        mean_influence=float(random.exponential(0.05)),
        influence_deviation=0.01,
        mean_activation=float(random.exponential(2.0)),
    )


def _height(unit: CircuitUnit) -> int:
    if unit.kind == "OutputToken":
        return 1000
    return -1 if unit.layer is None else unit.layer


def _place(unit: CircuitUnit) -> int:
    role = unit.id.rpartition("@")[2]
    return ROLES.index(role) if role in ROLES else len(ROLES)


def _edges(random: np.random.Generator, units: list[CircuitUnit], *, n_edges: int) -> list[CircuitEdge]:
    pairs = [
        (source, target)
        for source in units
        for target in units
        if _height(source) < _height(target) and _place(source) <= _place(target)
    ]
    chosen = random.permutation(len(pairs))[:n_edges].tolist()
    return [invented_edge(random, *pairs[number]) for number in chosen]


def invented_edge(random: np.random.Generator, source: CircuitUnit, target: CircuitUnit) -> CircuitEdge:
    """Returns an edge with drawn numbers, in a third of the traces at least."""
    traces = int(random.integers(TRACES // 3, TRACES + 1))
    return CircuitEdge(
        source=source.id,
        source_name=source.name,
        target=target.id,
        target_name=target.name,
        port=0,
        traces=traces,
        presence=wilson(traces, TRACES),
        conditional_presence=wilson(traces, TRACES),
        mean_weight=float(random.normal(0, 0.4)),
        weight_deviation=0.2,
        mean_share=float(random.random()) / 4,
        mean_influence=float(random.lognormal(-4.5, 1.2)),
        sign_agreement=wilson(traces - 5, traces),
        same_position=0.5,
        target_weighted_effect=0.1,
    )
