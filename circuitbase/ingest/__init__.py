"""From trace files to Neo4j: rows, migrations, prompt sets and the one transaction that stores a trace."""
