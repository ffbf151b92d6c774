"""Circuits to draw, invented."""

import numpy as np

from circuitbase.pages.circuit_drawing import CircuitDrawing, DrawnEdge, DrawnUnit

ROW_NAMES = ("Input tokens", "Layer 0", "Layer 1", "Layer 2", "Outputs")


def drawn_unit(id: str, *, row: int = 1, influence: float = 0.1, label: str = "Lyon · Bordeaux") -> DrawnUnit:
    role = "token" if row == 0 else "output" if row == len(ROW_NAMES) - 1 else "feature"
    return DrawnUnit(id=id, role=role, row=row, label=label, name=f"L00/{id}", influence=influence, presence=0.5)


def drawn_edge(source: str, target: str, *, influence: float = 0.1, weight: float = 1.0) -> DrawnEdge:
    return DrawnEdge(source=source, target=target, weight=weight, influence=influence, presence=0.5)


def crowded_drawing(seed: int) -> CircuitDrawing:
    """Returns a circuit as large as any that is drawn, with long labels."""
    random = np.random.default_rng(seed)
    words = "Bordeaux capital gouverneur WWWWWWWWWWWWWWWWWWWW the Oriole · $x_1$ 東京 \n".split(" ")
    sizes = [8, *(int(size) for size in random.multinomial(20, [0.5, 0.3, 0.2])), 2]
    units = [
        drawn_unit(
            f"F{row}{number:04d}",
            row=row,
            influence=float(random.exponential(0.1)),
            label=" ".join(random.choice(words, size=5)),
        )
        for row, size in enumerate(sizes)
        for number in range(size)
    ]
    edges = [
        drawn_edge(a.id, b.id, influence=float(random.exponential(0.05)), weight=float(random.normal()))
        for a in units
        for b in units
        if a.row < b.row
    ]
    random.shuffle(edges)  # type: ignore[arg-type]
    return CircuitDrawing(
        title="Circuit of invented prompts " + "and more " * 30,
        subtitle="12 traces · " + "every limit " * 60,
        row_names=ROW_NAMES,
        units=tuple(units),
        edges=tuple(edges[:60]),
    )
