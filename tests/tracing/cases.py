"""The dictionaries and models that tracing is tested on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.trace import Trace
from circuitbase.tracing.attribution import trace
from circuitbase.tracing.dictionaries import Dictionary, load_dictionary
from circuitbase.tracing.models import TracedModel, load_model
from circuitbase.tracing.options import DType, RoleTarget, TraceOptions
from tests.tiny_models import PROMPT, write_tiny_dictionary, write_tiny_model

WHOLE = TraceOptions(prune=False, output_probability=0.8, dtype="float64")
K = 6


@dataclass(frozen=True)
class Case:
    """A kind of dictionary on a model of some size."""

    activation: str = "jumprelu"
    skip: bool = False
    reads: str = "mlp.hook_in"
    bos: bool = True
    n_layers: int = 2
    n_heads: int = 2
    seed: int = 0

    def __str__(self) -> str:
        skip, bos = "-skip" if self.skip else "", "" if self.bos else "-no-bos"
        return f"{self.activation}{skip}-{self.reads}-{self.n_layers}x{self.n_heads}{bos}-{self.seed}"

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Returns the folders of the model and of the dictionary, written below `folder`."""
        model = write_tiny_model(
            folder / "tiny" / "model", seed=self.seed, n_layers=self.n_layers, n_heads=self.n_heads, bos=self.bos
        )
        dictionary = write_tiny_dictionary(
            folder / "tiny" / "transcoders",
            model,
            seed=self.seed,
            activation=self.activation,
            k=K,
            skip=self.skip,
            reads=self.reads,
            lens_version="3.0" if self.reads == "ln2.hook_normalized" else None,
        )
        return model, dictionary


CASES = (
    Case(activation="relu"),
    Case(activation="topk", n_layers=3, seed=1),
    Case(activation="jumprelu", n_layers=3, n_heads=4, seed=2),
    Case(activation="jumprelu", skip=True, n_layers=3, seed=3),
    Case(activation="relu", reads="hook_resid_mid", seed=4),
    Case(activation="relu", reads="hook_resid_mid", skip=True, seed=4),
    Case(activation="jumprelu", reads="ln2.hook_normalized", skip=True, seed=7),
    Case(activation="relu", bos=False, seed=5),
    Case(activation="topk", skip=True, bos=False, n_layers=1, n_heads=1, seed=6),
)


@dataclass(frozen=True)
class Loaded:
    """A model and its dictionary, and the folders they came from."""

    model: TracedModel
    dictionary: Dictionary
    model_folder: Path
    dictionary_folder: Path

    def trace(
        self,
        options: TraceOptions,
        *,
        prompt: str | list[int] = PROMPT,
        roles: tuple[RoleTarget, ...] = (),
        without_nodes: tuple[int, ...] = (),
    ) -> Trace:
        """Returns the trace of a prompt."""
        read = self.model.tokenizer.read(prompt, without_nodes=without_nodes)
        return trace(self.model, self.dictionary, read, options, roles=roles)


def loaded(folder: Path, case: Case = Case(), *, dtype: DType = "float64") -> Loaded:
    """Returns a case's model and dictionary, written below `folder` if they are not there."""
    model_folder, dictionary_folder = folder / "tiny" / "model", folder / "tiny" / "transcoders"
    if not dictionary_folder.exists():
        case.write(folder)
    model = load_model(model_folder, dtype=dtype)
    dictionary = load_dictionary(dictionary_folder, model=model, dtype=dtype)
    return Loaded(model, dictionary, model_folder, dictionary_folder)


def dense(graph: AttributionGraph) -> np.ndarray:
    """Returns the edges as a matrix [target, source]."""
    matrix = np.zeros((graph.n_nodes, graph.n_nodes))
    matrix[graph.edge_target, graph.edge_source] = graph.edge_weight
    return matrix


def keys(graph: AttributionGraph) -> list[tuple[int, int, int, int]]:
    """Returns what identifies each node: kind, layer, position, unit."""
    columns = (graph.node_kind, graph.node_layer, graph.node_position, graph.node_unit)
    return [tuple(int(value) for value in row) for row in zip(*columns, strict=True)]  # type: ignore[misc]
