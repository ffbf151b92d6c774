// Edges whose sign is not settled
// Edges of a global circuit that excite in some traces and inhibit in others: their mean weight hides both.
// $set STRING: a prompt set
// $min_traces INTEGER: smallest number of traces with the edge
// $limit INTEGER: rows to show
:param set => "capital-en";
:param min_traces => 4;
:param limit => 20;
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
MATCH (source:Unit)-[drives:DRIVES]->(target:Unit)
WHERE drives.rollup = rollup.id AND drives.traces >= $min_traces
  AND drives.positive > 0 AND drives.positive < drives.traces
RETURN source.name AS source, target.name AS target, drives.positive AS excites,
       drives.traces - drives.positive AS inhibits, drives.weight_sum / drives.traces AS mean_weight,
       drives.absolute_sum / drives.traces AS mean_absolute_weight, configuration.name AS configuration
ORDER BY abs(2 * excites - drives.traces) * 1.0 / drives.traces, mean_absolute_weight DESC, source, target
LIMIT $limit;
