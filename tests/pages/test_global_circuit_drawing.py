from circuitbase.pages.circuit_plot import circuit_png
from circuitbase.pages.global_circuit_drawing import drawing_of
from circuitbase.queries.circuit import CircuitEdge, CircuitUnit, GlobalCircuit
from circuitbase.queries.intervals import wilson
from circuitbase.queries.rollup_choice import ChosenRollup

ROLLUP = ChosenRollup(
    id="r", prompt_set="capitals", configuration="c" * 64, configuration_name="atlas/tc/probable@cccccccc", traces=4
)


def unit(
    name: str, kind: str, *, layer: int | None = None, token: str | None = None, influence: float = 0.1
) -> CircuitUnit:
    return CircuitUnit(
        id=f"atlas/{name}",
        name=name,
        kind=kind,
        layer=layer,
        token=token,
        traced=2,
        active_traces=3,
        presence=wilson(2, 4),
        mean_influence=influence,
        influence_deviation=0.0,
        mean_activation=1.0,
    )


def edge(source: str, target: str, *, weight: float = 1.0, influence: float = 0.1) -> CircuitEdge:
    return CircuitEdge(
        source=f"atlas/{source}",
        source_name=source,
        target=f"atlas/{target}",
        target_name=target,
        port=0,
        traces=1,
        presence=wilson(1, 4),
        conditional_presence=wilson(1, 2),
        mean_weight=weight,
        weight_deviation=0.0,
        mean_share=0.5,
        mean_influence=influence,
        sign_agreement=wilson(1, 1),
        same_position=0.0,
        target_weighted_effect=None,
    )


def circuit(*units: CircuitUnit, edges: tuple[CircuitEdge, ...] = ()) -> GlobalCircuit:
    return GlobalCircuit(
        rollup=ROLLUP, min_presence=0.3, by="influence", units=units, edges=edges, n_units=1200, n_edges=34
    )


WHOLE = circuit(
    unit('in " Lyon"', "InputToken", token=" Lyon"),
    unit("L00/F00001", "Feature", layer=0),
    unit("L02/F00002", "Feature", layer=2),
    unit("L02/error", "LayerError", layer=2),
    unit('out " Paris"', "OutputToken", token=" Paris", influence=0.0),
    unit("answer-distractor", "RoleOutput", influence=0.0),
    edges=(
        edge('in " Lyon"', "L00/F00001"),
        edge("L00/F00001", "L02/F00002", weight=-2.0),
        edge("L02/error", 'out " Paris"'),
    ),
)


def test_units_stand_in_the_row_of_their_layer_with_words_before_names() -> None:
    drawing = drawing_of(WHOLE, {"atlas/L00/F00001": "Lyon, Nice"})
    assert drawing.row_names == ("Input tokens", "Layer 0", "Layer 1", "Layer 2", "Outputs")
    assert {unit.id: (unit.role, unit.row, unit.label, unit.name) for unit in drawing.units} == {
        'atlas/in " Lyon"': ("token", 0, "“Lyon”", "input"),
        "atlas/L00/F00001": ("feature", 1, "Lyon, Nice", "L00/F00001"),
        "atlas/L02/F00002": ("feature", 3, "L02/F00002", "L02/F00002"),
        "atlas/L02/error": ("error", 3, "error", "L02/error"),
        'atlas/out " Paris"': ("output", 4, "“Paris”", "output"),
        "atlas/answer-distractor": ("output", 4, "answer-distractor", "output"),
    }


def test_edges_keep_sign_influence_and_presence() -> None:
    drawing = drawing_of(WHOLE, {})
    [found] = [edge for edge in drawing.edges if edge.target == "atlas/L02/F00002"]
    assert (found.weight, found.influence, found.presence) == (-2.0, 0.1, 0.25)


def test_the_head_says_set_traces_configuration_and_limits() -> None:
    drawing = drawing_of(WHOLE, {})
    assert drawing.title == "Global circuit of capitals: 4 traces"
    assert drawing.subtitle == (
        "atlas/tc/probable@cccccccc · in at least 30% of traces: 6 of 1,200 units and 3 of 34 edges shown, "
        "by mean influence"
    )


def test_only_the_strongest_part_is_drawn() -> None:
    drawing = drawing_of(WHOLE, {}, max_units=4, max_edges=1)
    assert len(drawing.edges) == 1
    assert len(drawing.units) <= 4


def test_an_empty_circuit_can_be_drawn() -> None:
    assert circuit_png(drawing_of(circuit(), {})).startswith(b"\x89PNG")


def test_layers_of_which_nothing_is_drawn_share_a_row() -> None:
    deep = circuit(
        unit("L01/F00001", "Feature", layer=1),
        unit("L20/F00002", "Feature", layer=20),
        unit('out " Paris"', "OutputToken", token=" Paris"),
        edges=(edge("L01/F00001", "L20/F00002"), edge("L20/F00002", 'out " Paris"')),
    )
    drawing = drawing_of(deep, {})
    assert drawing.row_names == ("Input tokens", "Layer 0", "Layer 1", "Layers 2–19", "Layer 20", "Outputs")
    assert {unit.id: unit.row for unit in drawing.units} == {
        "atlas/L01/F00001": 2,
        "atlas/L20/F00002": 4,
        'atlas/out " Paris"': 5,
    }


def test_a_supernode_stands_in_its_lowest_layer_under_its_own_name() -> None:
    grouped = circuit(
        unit("state of Texas", "Supernode", layer=1),
        unit('out " Paris"', "OutputToken", token=" Paris"),
        edges=(edge("state of Texas", 'out " Paris"'),),
    )
    [found] = [unit for unit in drawing_of(grouped, {}).units if unit.role == "supernode"]
    assert (found.row, found.label) == (2, "state of Texas")
