import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control

from circuitbase.graph.motifs.correction import corrected
from circuitbase.graph.motifs.counts import motif_counts
from circuitbase.graph.motifs.enrichment import MotifTotals, enrichment, least_corrected_p
from circuitbase.graph.motifs.motif_type import DETAILS, TYPES, MotifType, Shape
from circuitbase.graph.motifs.null_model import NullOptions, null_counts
from circuitbase.graph.motifs.signed_graph import SignedGraph, signed_graph
from tests.graph.motifs.random_graphs import layered_graph


def totals(*graphs: SignedGraph, options: NullOptions) -> MotifTotals:
    counts = [motif_counts(graph) for graph in graphs]
    null = [null_counts(graph, options=options, trace_id=str(place)).counts for place, graph in enumerate(graphs)]
    with_any = np.sum([count > 0 for count in counts], axis=0)
    return MotifTotals(len(graphs), count=np.sum(counts, axis=0), null=np.sum(null, axis=0), traces_with=with_any)


def with_loops(graph: SignedGraph, *, n: int, random: np.random.Generator) -> SignedGraph:
    """Returns the graph with positive feed-forward loops planted on `n` random triples of ascending nodes."""
    edges = dict(zip(zip(graph.source.tolist(), graph.target.tolist(), strict=True), graph.is_positive, strict=True))
    planted = 0
    while planted < n:
        a, b, c = sorted(random.choice(graph.n_nodes, size=3, replace=False).tolist())
        if graph.layer[a] < graph.layer[b] < graph.layer[c] and len(set(graph.position[[a, b, c]].tolist())) == 1:
            edges |= dict.fromkeys([(a, b), (b, c), (a, c)], True)
            planted += 1
    source, target = (np.array(column) for column in zip(*edges, strict=True))
    weight = np.where(list(edges.values()), 1.0, -1.0)
    return signed_graph(graph.kind, graph.layer, graph.position, source, target, weight)


def test_on_random_layered_graphs_p_values_are_super_uniform() -> None:
    """Edges are there independently, so all graphs with the same degrees are equally likely: the null holds.

    The p value of every type of every draw is at most α no oftener than α. The bounds fail once in 100,000 seeds.
    """
    draws, samples = 80, 19
    detail = {name: [] for name in ("chain", "coherent-ffl", "incoherent-ffl", "diamond", "inhibition", "chain:++:ss")}
    for draw in range(draws):
        random = np.random.default_rng([5, draw])
        graphs = [
            layered_graph(random, n_positions=1 + trace, per_place=8 - 4 * trace, probability=0.4)
            for trace in range(1 + draw % 2)
        ]
        found = totals(*graphs, options=NullOptions(samples=samples, rounds=2, seed=draw))
        each = {row.type.name: row for row in (*enrichment(found, detail="shape"), *enrichment(found))}
        for name, p_values in detail.items():
            p_values.append(each[name].p if name in each else 1.0)
    for name, p_values in detail.items():
        for level in (0.05, 0.1, 0.25, 0.5, 0.75):
            below = int((np.array(p_values) <= level + 1e-9).sum())
            assert below <= binom.ppf(1 - 1e-5 / 30, draws, level), (name, level, below)
    assert min(len(set(p_values)) for p_values in detail.values()) >= samples // 2


def test_a_planted_motif_is_found_and_no_other() -> None:
    random = np.random.default_rng(3)
    graphs = [with_loops(layered_graph(random, per_place=6, probability=0.1), n=8, random=random) for _ in range(3)]
    found = {
        row.type.name: row for row in enrichment(totals(*graphs, options=NullOptions(samples=119)), detail="shape")
    }
    planted = found["coherent-ffl"]
    assert planted.ratio is not None and planted.ratio > 1.3 and planted.z is not None and planted.z > 4
    below = {name for name, row in found.items() if row.corrected_p is not None and row.corrected_p < 0.05}
    assert below == {"coherent-ffl"}


def test_counts_ratio_z_and_p_by_hand() -> None:
    null = np.zeros((len(TYPES), 4), dtype=np.int64)
    count = np.zeros(len(TYPES), dtype=np.int64)
    null[0], count[0] = [1, 2, 3, 2], 3
    null[1], count[1] = [0, 0, 0, 0], 5
    null[2], count[2] = [1, 0, 0, 0], 3
    null[-1], count[-1] = [5, 5, 5, 5], 5
    found = enrichment(MotifTotals(2, count=count, null=null, traces_with=np.minimum(count, 2)))
    chain, only_seen, rare, fan = found
    assert (chain.count, chain.per_trace, chain.null_mean, chain.ratio, chain.p) == (3, 1.5, 2.0, 1.5, 2 / 5)
    assert chain.z == pytest.approx(1 / np.sqrt(0.5))
    assert (only_seen.ratio, only_seen.z, only_seen.p) == (None, None, 1 / 5)
    assert (fan.type.shape, fan.p, fan.z, fan.corrected_p) == (Shape.FAN_OUT, 1.0, None, None)
    assert (only_seen.corrected_p, chain.corrected_p) == (2 / 5, 2 / 5)
    assert (rare.p, rare.corrected_p) == (1 / 5, None)  # 4 instances in 5 graphs


def test_types_that_less_detail_joins_are_summed_sample_by_sample() -> None:
    random = np.random.default_rng(0)
    null = random.integers(0, 9, (len(TYPES), 6))
    count = random.integers(1, 9, len(TYPES))
    whole = MotifTotals(1, count=count, null=null, traces_with=np.ones(len(TYPES), dtype=np.int64))
    assert [len(enrichment(whole, detail=detail)) for detail in DETAILS] == [70, 20, 26, 7]  # type: ignore[arg-type]
    chain = enrichment(whole, detail="shape")[0]
    assert chain.type == MotifType(Shape.CHAIN)
    assert (chain.count, chain.null_mean) == (count[:16].sum(), null[:16].sum(axis=0).mean())


def test_corrections_are_those_of_their_definitions() -> None:
    p = np.array([0.01, 0.2, 0.03, 0.02, 1.0])
    assert corrected(p, by="holm").tolist() == pytest.approx([0.05, 0.4, 0.09, 0.08, 1.0])
    np.testing.assert_allclose(corrected(p, by="benjamini-hochberg"), false_discovery_control(p))
    for by in ("holm", "benjamini-hochberg"):
        assert corrected(np.array([]), by=by).shape == (0,)


def test_too_few_samples_cannot_be_significant() -> None:
    null = np.arange(2 * 19).reshape(2, 19)
    whole = MotifTotals(
        1,
        count=np.pad(np.array([99, 99]), (0, len(TYPES) - 2)),
        null=np.pad(null, ((0, len(TYPES) - 2), (0, 0))),
        traces_with=np.ones(len(TYPES), dtype=np.int64),
    )
    assert least_corrected_p(enrichment(whole), samples=19) == pytest.approx(0.1)
