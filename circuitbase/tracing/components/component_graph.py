"""The nodes and edges of a model by components, in one fixed order, with the names that EAP-IG's files have.

A source writes into the residual stream: `input`, `a{layer}.h{head}`, `m{layer}`. A receiver reads it:
`a{layer}.h{head}<q>`, `<k>` and `<v>` (one per query head), `m{layer}`, `logits`. An edge is a source and a
receiver that reads what the source writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

from circuitbase.schema.kinds import Port


@dataclass(frozen=True)
class ComponentGraph:
    """Sources and receivers of a model with so many layers and heads a layer.

    Sources: the input, then of each layer its heads and its MLP. Receivers: of each layer all queries, all
    keys, all values and the MLP; last the logits. In a `parallel` model an MLP does not read the heads of its layer.
    """

    n_layers: int
    n_heads: int
    parallel: bool = False

    @property
    def n_sources(self) -> int:
        """Returns the number of sources."""
        return 1 + self.n_layers * (self.n_heads + 1)

    @property
    def n_receivers(self) -> int:
        """Returns the number of receivers."""
        return self.n_layers * (3 * self.n_heads + 1) + 1

    def head(self, layer: int, head: int) -> int:
        """Returns the source of a head."""
        return 1 + layer * (self.n_heads + 1) + head

    def mlp(self, layer: int) -> int:
        """Returns the source of an MLP."""
        return self.head(layer, self.n_heads)

    def port(self, layer: int, head: int, port: Port) -> int:
        """Returns the receiver of a head's queries, keys or values."""
        return layer * (3 * self.n_heads + 1) + (port - Port.Q) * self.n_heads + head

    def mlp_input(self, layer: int) -> int:
        """Returns the receiver of an MLP."""
        return layer * (3 * self.n_heads + 1) + 3 * self.n_heads

    @property
    def logits(self) -> int:
        """Returns the receiver of the logits."""
        return self.n_receivers - 1

    def before_heads(self, layer: int) -> int:
        """Returns how many sources the heads of a layer read (those up to there); `n_layers`: the logits."""
        return 1 + layer * (self.n_heads + 1)

    def before_mlp(self, layer: int) -> int:
        """Returns how many sources the MLP of a layer reads."""
        return self.before_heads(layer) + (0 if self.parallel else self.n_heads)

    @cached_property
    def source_names(self) -> tuple[str, ...]:
        """Returns the sources' names, in their order."""
        of_layers = (
            name
            for layer in range(self.n_layers)
            for name in (*(f"a{layer}.h{head}" for head in range(self.n_heads)), f"m{layer}")
        )
        return ("input", *of_layers)

    @cached_property
    def receiver_names(self) -> tuple[str, ...]:
        """Returns the receivers' names, in their order."""
        of_layers = (
            name
            for layer in range(self.n_layers)
            for name in (*(f"a{layer}.h{head}<{port}>" for port in "qkv" for head in range(self.n_heads)), f"m{layer}")
        )
        return (*of_layers, "logits")

    @cached_property
    def reads(self) -> Int[np.ndarray, " receiver"]:
        """Returns how many sources each receiver reads: the first so many."""
        found = []
        for layer in range(self.n_layers):
            found += [self.before_heads(layer)] * (3 * self.n_heads) + [self.before_mlp(layer)]
        return np.array([*found, self.n_sources])

    @cached_property
    def edges(self) -> Bool[np.ndarray, "source receiver"]:
        """Returns which pairs are edges."""
        return np.arange(self.n_sources)[:, None] < self.reads[None, :]

    @property
    def n_edges(self) -> int:
        """Returns the number of edges."""
        return int(self.reads.sum())

    def edge_names(self) -> Iterator[str]:
        """Yields the edges' names, source by source: the order of `np.nonzero(edges)`."""
        for source, receiver in zip(*np.nonzero(self.edges), strict=True):
            yield f"{self.source_names[source]}->{self.receiver_names[receiver]}"

    def edge(self, name: str) -> tuple[int, int]:
        """Returns (source, receiver) of an edge's name; raises KeyError for a name that is none."""
        writes, _, reads = name.partition("->")
        source, receiver = self._places[0][writes], self._places[1][reads]
        if not self.edges[source, receiver]:
            raise KeyError(name)
        return source, receiver

    @cached_property
    def _places(self) -> tuple[dict[str, int], dict[str, int]]:
        return (
            {name: place for place, name in enumerate(self.source_names)},
            {name: place for place, name in enumerate(self.receiver_names)},
        )
