"""How much influence two traces send along the same unit edges, and which traces belong together by it.

Traces are rows of a sparse matrix [trace, unit edge] whose entries are an edge's share of the influence in the trace,
summed over position pairs. Likeness is the weighted Jaccard index Σ min / Σ max (Ruzicka): 1 for equal circuits, 0 for
circuits without a common edge; it is a metric's complement, so that linkage over it is sound.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_matrix
from scipy.spatial.distance import squareform

InfluenceMatrix: TypeAlias = csr_matrix  # [trace, unit edge]

MOST_CLUSTERS = 10
LEAST_SILHOUETTE = 0.25  # up to which there is no substantial structure (Kaufman, Rousseeuw 1990)


@dataclass(frozen=True)
class Clusters:
    """Which cluster each trace is in, from 0 on, the largest first; `silhouette` says how well they are told apart.

    The silhouette (Rousseeuw 1987) is the mean over traces of (b − a) / max(a, b), a the mean distance within the
    cluster, b to the nearest other one; 0 for one cluster alone.
    """

    cluster: Int64[np.ndarray, " trace"]
    silhouette: float

    @property
    def number(self) -> int:
        """Returns how many clusters there are."""
        return int(self.cluster.max()) + 1 if len(self.cluster) else 0


def likeness(influence: InfluenceMatrix) -> Float64[np.ndarray, "trace trace"]:
    """Returns the weighted Jaccard index of every two rows; 1 on the diagonal, also of empty rows."""
    n = influence.shape[0]
    total = np.asarray(influence.sum(axis=1)).ravel()
    found = np.eye(n)
    for row in range(n):
        least = minimum_sums(influence, row)
        most = total[row] + total - least
        found[row] = np.divide(least, most, out=np.zeros(n), where=most > 0)
        found[row, row] = 1.0
    return found


def minimum_sums(influence: InfluenceMatrix, row: int) -> Float64[np.ndarray, " trace"]:
    """Returns Σ min(row, other) with every other row, over the columns of the row alone."""
    mine = influence[row]
    part = influence[:, mine.indices].tocsc()
    least = np.minimum(part.data, np.repeat(mine.data, np.diff(part.indptr)))
    return np.bincount(part.indices, weights=least, minlength=influence.shape[0]).astype(np.float64)


def clusters_of(alike: Float64[np.ndarray, "trace trace"], *, number: int | None = None) -> Clusters:
    """Returns clusters by average linkage over 1 − likeness: so many, or as many as the silhouette is best for.

    Without a number, several are chosen only where their silhouette is above `LEAST_SILHOUETTE`.
    """
    n = len(alike)
    if n < 2 or number == 1:
        return Clusters(cluster=np.zeros(n, dtype=np.int64), silhouette=0.0)
    distance = 1 - alike
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    tried = [number] if number is not None else range(2, min(MOST_CLUSTERS, n - 1) + 1)
    best = Clusters(cluster=np.zeros(n, dtype=np.int64), silhouette=0.0)
    least = LEAST_SILHOUETTE
    for wanted in tried:
        names = _largest_first(fcluster(tree, wanted, criterion="maxclust"))
        score = silhouette(distance, names)
        if number is not None or score > least:
            best, least = Clusters(cluster=names, silhouette=score), score + 1e-12
    return best


def silhouette(distance: Float64[np.ndarray, "trace trace"], cluster: Int64[np.ndarray, " trace"]) -> float:
    """Returns the mean silhouette; a trace alone in its cluster counts 0."""
    names = np.unique(cluster)
    if len(names) < 2:
        return 0.0
    sums = np.stack([distance[:, cluster == name].sum(axis=1) for name in names], axis=1)
    sizes = np.array([(cluster == name).sum() for name in names])
    own = np.searchsorted(names, cluster)
    rows = np.arange(len(cluster))
    within = sums[rows, own] / np.maximum(1, sizes[own] - 1)
    between = sums / sizes
    between[rows, own] = np.inf
    nearest = between.min(axis=1)
    largest = np.maximum(within, nearest)
    value = np.divide(nearest - within, largest, out=np.zeros(len(cluster)), where=largest > 0)
    return float(np.where(sizes[own] > 1, value, 0.0).mean())


def _largest_first(names: np.ndarray) -> np.ndarray:
    values, first, counts = np.unique(names, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    return rank[np.searchsorted(values, names)]
