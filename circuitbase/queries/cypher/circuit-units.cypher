// Units of a global circuit
// The units that have a node in at least $min_presence of a prompt set's traces, most influential first.
// $set STRING: a prompt set
// $min_presence FLOAT: smallest fraction of the set's traces
// $limit INTEGER: rows to show
:param set => "capital-en";
:param min_presence => 0.3;
:param limit => 30;
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
WHERE rollup.traces > 0
MATCH (unit:Unit)-[seen:SEEN_IN {rollup: rollup.id}]->(rollup)
WHERE seen.traced >= $min_presence * rollup.traces AND seen.traced > 0
RETURN unit.name AS unit, unit.kind AS kind, toFloat(seen.traced) / rollup.traces AS presence,
       seen.influence_sum / rollup.traces AS mean_influence, seen.active_traces AS active_traces,
       rollup.traces AS traces, configuration.name AS configuration
ORDER BY mean_influence DESC, unit
LIMIT $limit;
