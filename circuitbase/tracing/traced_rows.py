"""The traced rows of an attribution graph: every effect on every target, or its largest, with what was left out."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from circuitbase.errors import ModelError
from circuitbase.graph.edge_blocks import DenseBlock, EdgeBlock, SparseBlock
from circuitbase.tracing.effects import FrozenPaths, RowBlock
from circuitbase.tracing.kept_mass import largest_up_to
from circuitbase.tracing.target_blocks import Targets


@dataclass(frozen=True)
class TracedRows:
    """Edges in blocks, in topological order, and per node what its row was before anything was left out.

    `absolute_input` is Σ|A|, `net_input` ΣA, `unexplained_input` Σ|A| over error nodes, `bias_effect` that of
    all constants; 0 where a node is no target or was not traced.
    """

    blocks: list[EdgeBlock]
    is_traced: Bool[np.ndarray, " node"]
    absolute_input: Float64[np.ndarray, " node"]
    net_input: Float64[np.ndarray, " node"]
    unexplained_input: Float64[np.ndarray, " node"]
    bias_effect: Float64[np.ndarray, " node"]


class RowTracer:
    """Traces rows in any order, and keeps what it found; of the effects, if `columns` are given, those of these nodes.

    A device that runs out of memory gets smaller blocks from then on.
    """

    def __init__(
        self,
        paths: FrozenPaths,
        *,
        unexplained: Bool[np.ndarray, " node"],
        keep_mass: float,
        block_numbers: int,
        columns: Int64[np.ndarray, " chosen"] | None = None,
        threads: int | None = None,
    ) -> None:
        n_nodes = len(unexplained)
        self.paths = paths
        self.unexplained = unexplained
        self.keep_mass = keep_mass
        self.block_numbers = block_numbers
        self.columns = columns
        self.threads = torch.get_num_threads() if threads is None else threads
        self.blocks: list[tuple[int, EdgeBlock]] = []  # with the layer that its targets read at
        self.is_traced = np.zeros(n_nodes, dtype=bool)
        self.absolute_input = np.zeros(n_nodes)
        self.net_input = np.zeros(n_nodes)
        self.unexplained_input = np.zeros(n_nodes)
        self.bias_effect = np.zeros(n_nodes)

    def trace(self, targets: Sequence[Targets]) -> None:
        """Traces the rows of targets that were not traced before.

        On a CPU the blocks are shared out among threads, by default as many as torch has, each block to one of them
        alone, so that the numbers do not depend on how many there are.
        """
        if self.paths.device.type == "cpu" and self.threads > 1:
            with ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,)) as threads:
                for _ in threads.map(self._trace_block, self._blocks(targets)):
                    pass
        else:
            for block in self._blocks(targets):
                self._trace_block(block)

    def _blocks(self, targets: Sequence[Targets]) -> Iterator[Targets]:
        for each in targets:
            start = 0
            while start < len(each):
                block = each.block_from(start, block_numbers=self.block_numbers, width=self.paths.d_model)
                yield block
                start += len(block)

    def _trace_block(self, block: Targets) -> None:
        try:
            with torch.no_grad():
                self._keep(block, self.paths.rows(block))
        except torch.cuda.OutOfMemoryError as error:
            self.block_numbers = self._smaller(block, error)
            torch.cuda.empty_cache()
            for part in self._blocks([block]):
                self._trace_block(part)

    def found(self) -> TracedRows:
        """Returns everything traced so far."""
        ordered = sorted(self.blocks, key=lambda each: (each[0], int(each[1].target[0])))
        return TracedRows(
            blocks=[block for _, block in ordered],
            is_traced=self.is_traced,
            absolute_input=self.absolute_input,
            net_input=self.net_input,
            unexplained_input=self.unexplained_input,
            bias_effect=self.bias_effect,
        )

    def _keep(self, targets: Targets, rows: RowBlock) -> None:
        node, weight = targets.node, rows.weight
        magnitude = weight.abs()
        total = magnitude.sum(1, dtype=torch.float64)
        unexplained = torch.from_numpy(np.flatnonzero(self.unexplained[rows.source])).to(weight.device)
        self.is_traced[node] = True
        self.absolute_input[node] = total.cpu().numpy()
        self.net_input[node] = weight.sum(1, dtype=torch.float64).cpu().numpy()
        self.unexplained_input[node] = magnitude[:, unexplained].sum(1, dtype=torch.float64).cpu().numpy()
        self.bias_effect[node] = rows.bias_effect
        self.blocks.append((targets.layer, self._block(node, rows, total)))

    def _smaller(self, block: Targets, error: Exception) -> int:
        """Returns half the numbers of a block that did not fit; raises ModelError if it cannot be halved."""
        numbers = len(block) * block.n_positions * self.paths.d_model
        if len(block) > 1:
            return min(self.block_numbers, numbers) // 2
        raise ModelError(
            f"the device has too little memory for one target over {block.n_positions} positions of width "
            f"{self.paths.d_model} beside the model, the dictionary and {len(self.unexplained):,} nodes ({error}); "
            "trace a shorter prompt, load the dictionary lazily, or set max_features or keep_mass"
        ) from error

    def _block(self, node: Int64[np.ndarray, " target"], rows: RowBlock, total: Tensor) -> EdgeBlock:
        if self.columns is not None:
            mine = np.flatnonzero(np.isin(rows.source, self.columns))
            chosen = rows.weight[:, torch.from_numpy(mine).to(rows.weight.device)]
            return DenseBlock(target=node, source=rows.source[mine], weight=chosen.cpu().numpy())
        if self.keep_mass >= 1:
            return DenseBlock(target=node, source=rows.source, weight=rows.weight.cpu().numpy())
        kept = largest_up_to(rows.weight, total, share=self.keep_mass)
        row, column = torch.nonzero(kept, as_tuple=True)
        counts = torch.bincount(row, minlength=len(node)).cpu().numpy()
        return SparseBlock(
            target=node,
            start=np.concatenate([[0], np.cumsum(counts)]),
            source=rows.source[column.cpu().numpy()].astype(np.int32),
            weight=rows.weight[row, column].cpu().numpy(),
        )
