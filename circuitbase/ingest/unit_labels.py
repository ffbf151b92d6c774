"""Labels that came with an imported graph, put onto the units that they are of."""

import re
from collections.abc import Mapping

from neo4j import ManagedTransaction, Session

from circuitbase.graph.trace import TraceMetadata
from circuitbase.ingest.managed import write
from circuitbase.ingest.statements import LABEL_UNITS
from circuitbase.schema import identity

_FEATURE = re.compile(r"(\d+)_(\d+)_\d+")


def unit_labels(metadata: TraceMetadata) -> Mapping[str, str]:
    """Returns unit id → label, of the features that an imported graph labels; of several labels the first node's."""
    if metadata.imported is None or metadata.dictionary is None:
        return {}
    found: dict[str, str] = {}
    outputs = metadata.model.n_layers + 1
    for node, label in sorted(metadata.imported.labels.items()):
        match = _FEATURE.fullmatch(node)
        if match and int(match[1]) < outputs and label.strip():
            dictionary = metadata.dictionary
            unit = identity.feature(dictionary.id, dictionary.site, int(match[1]), int(match[2]))
            found.setdefault(unit, label)
    return found


def label_units(session: Session, metadata: TraceMetadata) -> int:
    """Labels the units of an imported graph that have no label yet; returns the number of repeated transactions."""
    labels = unit_labels(metadata)
    if not labels:
        return 0
    rows = [[unit, labels[unit]] for unit in sorted(labels)]

    def work(transaction: ManagedTransaction) -> None:
        transaction.run(LABEL_UNITS, rows=rows).consume()

    return write(session, work).retries
