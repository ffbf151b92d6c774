from dataclasses import replace

from circuitbase.graph.imported import Imported
from circuitbase.ingest.unit_labels import unit_labels
from tests.synthetic import synthetic_trace, without_account

TRACE = without_account(synthetic_trace(0))


def labelled(labels: dict[str, str]) -> dict[str, str]:
    imported = Imported(format="Neuronpedia JSON", stated={}, labels=labels)
    return dict(unit_labels(replace(TRACE.metadata, imported=imported)))


def test_labels_of_feature_nodes_are_those_of_their_units():
    assert TRACE.metadata.dictionary is not None
    first = f"{TRACE.metadata.dictionary.id}/mlp/L01"
    assert labelled({"1_4_2": "cats", "1_30_0": "dogs"}) == {f"{first}/F00004": "cats", f"{first}/F00030": "dogs"}


def test_of_several_labels_of_a_unit_the_first_by_node_is_taken():
    assert list(labelled({"1_4_3": "late", "1_4_2": "early"}).values()) == ["early"]


def test_embeddings_errors_outputs_and_blank_labels_label_no_unit():
    # outputs of this model of three layers stand on layer 4
    assert labelled({"E_5_1": "a", "1_-1_2": "b", "4_17_4": "c", "1_4_2": " "}) == {}


def test_a_trace_of_ours_labels_nothing():
    assert unit_labels(synthetic_trace(0).metadata) == {}
