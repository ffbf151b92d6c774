"""Making what a trace shares with others: model, dictionary, configuration, prompt, units.

In a small transaction of its own, before the trace's: a unit that many writers want is locked for
milliseconds. Ids are sorted, so that two writers wait for each other in one order.
"""

from functools import partial

from neo4j import ManagedTransaction, Session

from circuitbase.ingest import statements
from circuitbase.ingest.managed import Written, write
from circuitbase.ingest.shared_rows import configuration_row, dictionary_row, model_row, prompt_row
from circuitbase.ingest.trace_rows import TraceRows
from circuitbase.ingest.units import create_units, missing_units


def upsert_shared_nodes(session: Session, rows: TraceRows, *, surroundings: bool) -> Written[int]:
    """Makes what is missing of the units and, if so told, of the rest; returns how many units were new."""
    missing = session.execute_read(partial(missing_units, units=rows.units))
    if not surroundings and not missing:
        return Written(0, retries=0)

    def work(transaction: ManagedTransaction) -> int:
        if surroundings:
            _upsert_surroundings(transaction, rows)
        return create_units(transaction, units=rows.units, missing=missing, dictionary=rows.dictionary_id)

    return write(session, work)


def _upsert_surroundings(transaction: ManagedTransaction, rows: TraceRows) -> None:
    metadata = rows.metadata
    ids = {"model": metadata.model.id, "dictionary": rows.dictionary_id, "configuration": metadata.configuration_id}
    transaction.run(statements.UPSERT_MODEL, row=model_row(metadata.model)).consume()
    dictionary = dictionary_row(metadata)
    if dictionary is not None:
        transaction.run(statements.UPSERT_DICTIONARY, row=dictionary).consume()
        transaction.run(statements.LINK_DICTIONARY, ids).consume()
    transaction.run(statements.UPSERT_CONFIGURATION, row=configuration_row(metadata)).consume()
    transaction.run(statements.LINK_CONFIGURATION_TO_MODEL, ids).consume()
    if dictionary is not None:
        transaction.run(statements.LINK_CONFIGURATION_TO_DICTIONARY, ids).consume()
    transaction.run(statements.UPSERT_PROMPT, row=prompt_row(metadata)).consume()
