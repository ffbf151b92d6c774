"""A tiny model of any architecture with a dictionary of any kind, traced before anything is rounded or pruned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.edge_blocks import all_edges
from circuitbase.graph.trace import Trace, TracedPrompt
from circuitbase.tracing.assembly import Assembled, assemble
from circuitbase.tracing.attribution import rows_and_left_out, trace
from circuitbase.tracing.dictionaries import Dictionary
from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.models import TracedModel, load_model
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.prompt_batches import asked_prompts, prepared_prompts
from circuitbase.tracing.targets import AskedTarget
from circuitbase.tracing.traced_rows import TracedRows
from tests.tiny_models import write_tiny_model
from tests.tracing.dictionary_kinds import D_MODEL, dictionary, tensors, top_k
from tests.tracing.frozen_reference import FrozenReference

TOKENS = (0, 5, 9, 4, 28, 12)
WHOLE = TraceOptions(prune=False, output_probability=0.5, max_outputs=3, dtype="float64")


@dataclass(frozen=True)
class Exact:
    """A trace's rows as they were computed, with the graph that is made of them."""

    nodes: Nodes
    rows: TracedRows
    assembled: Assembled

    @property
    def graph(self) -> AttributionGraph:
        """Returns the graph as it is stored."""
        return self.assembled.graph

    def matrix(self) -> np.ndarray:
        """Returns the effects between the stored nodes [target, source] as they were computed."""
        full, edges = np.zeros((len(self.nodes), len(self.nodes))), all_edges(self.rows.blocks)
        full[edges.target, edges.source] = edges.weight
        kept = self.assembled.kept_nodes
        return full[np.ix_(kept, kept)]

    def of_stored(self, column: np.ndarray) -> np.ndarray:
        """Returns a column of all nodes for the stored ones."""
        return column[self.assembled.kept_nodes]


@dataclass(frozen=True)
class Setup:
    """A model and a dictionary, loaded, with what `FrozenReference` makes its own of."""

    folder: Path
    kind: str
    layers: list[dict[str, Tensor]]
    reads: str
    writes: str
    model: TracedModel
    dictionary: Dictionary

    def read(self, tokens: Sequence[int] = TOKENS, *, without_nodes: tuple[int, ...] = ()) -> TracedPrompt:
        """Returns a prompt of these tokens; a BOS has no nodes anyway."""
        return self.model.tokenizer.read(list(tokens), without_nodes=without_nodes)

    def reference(self, tokens: Sequence[int] = TOKENS, **options: Any) -> FrozenReference:
        """Returns the frozen model computed another way."""
        ids = self.read(tokens).token_ids
        return FrozenReference(
            self.folder, self.layers, ids, reads=self.reads, writes=self.writes, k=top_k(self.kind), **options
        )

    def trace(
        self,
        options: TraceOptions,
        *targets: AskedTarget,
        tokens: Sequence[int] = TOKENS,
        without: tuple[int, ...] = (),
    ) -> Trace:
        """Returns the trace of a prompt."""
        return trace(self.model, self.dictionary, self.read(tokens, without_nodes=without), options, roles=targets)

    def exact(
        self,
        options: TraceOptions,
        *targets: AskedTarget,
        tokens: Sequence[int] = TOKENS,
        without: tuple[int, ...] = (),
        block_numbers: int = 2**20,
    ) -> Exact:
        """Returns the rows of a prompt as they were computed."""
        prompt = self.read(tokens, without_nodes=without)
        asked = asked_prompts(self.model, self.dictionary, [prompt], options, targets=[targets])
        (prepared,) = prepared_prompts(self.model, self.dictionary, asked, options)
        rows, left_out = rows_and_left_out(prepared, options, block_numbers=block_numbers)
        assembled = assemble(prepared.nodes, rows, prepared.layers, left_out=left_out, options=options)
        return Exact(prepared.nodes, rows, assembled)


def make_setup(
    folder: Path,
    architecture: str,
    kind: str = "jumprelu",
    *,
    n_layers: int = 3,
    n_heads: int | None = None,
    seed: int = 0,
    dtype: DType = "float64",
    bos: bool = True,
    settings: dict[str, Any] | None = None,
) -> Setup:
    """Returns a random model with a random dictionary; its files are written to `folder` if they are not there."""
    if not folder.exists():
        write_tiny_model(
            folder,
            architecture=architecture,
            seed=seed,
            n_layers=n_layers,
            d_model=D_MODEL,
            n_heads=n_heads,
            bos=bos,
            settings=settings,
        )
    layers, reads, writes = tensors(kind, architecture, n_layers=n_layers, seed=seed)
    model = load_model(folder, dtype=dtype)
    features = dictionary(kind, layers, reads, writes, model=model, dtype=dtype)
    return Setup(folder, kind, layers, reads, writes, model, features)
