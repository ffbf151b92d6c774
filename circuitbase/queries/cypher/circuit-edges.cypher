// Edges of a global circuit
// The edges between units that are in at least $min_presence of a prompt set's traces, most influential
// first. Means are over all traces of the set for influence, over the traces with the edge for weight.
// $set STRING: a prompt set
// $min_presence FLOAT: smallest fraction of the set's traces
// $limit INTEGER: rows to show
:param set => "capital-en";
:param min_presence => 0.3;
:param limit => 30;
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
WHERE rollup.traces > 0
MATCH (source:Unit)-[drives:DRIVES]->(target:Unit)
WHERE drives.rollup = rollup.id AND drives.traces >= $min_presence * rollup.traces
WITH rollup, configuration, source, drives, target,
     CASE WHEN 2 * drives.positive >= drives.traces THEN drives.positive ELSE drives.traces - drives.positive END AS agreeing
RETURN source.name AS source, target.name AS target, toFloat(drives.traces) / rollup.traces AS presence,
       drives.influence_sum / rollup.traces AS mean_influence, drives.weight_sum / drives.traces AS mean_weight,
       toFloat(agreeing) / drives.traces AS sign_agreement, drives.traces AS traces_with_edge,
       configuration.name AS configuration
ORDER BY mean_influence DESC, source, target
LIMIT $limit;
