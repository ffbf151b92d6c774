// What drives a feature, and what it drives
// The strongest in- and out-edges of one feature over a prompt set, by mean share of the target's input.
// $feature STRING: a feature's short name (L02/F00123) or the end of its id; empty takes the most influential one
// $set STRING: a prompt set
// $min_traces INTEGER: smallest number of traces with the edge
// $limit INTEGER: rows to show
:param feature => "";
:param set => "capital-en";
:param min_traces => 2;
:param limit => 20;
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
MATCH (unit:Feature)-[seen:SEEN_IN]->(rollup)
WHERE unit.id ENDS WITH $feature
WITH rollup, configuration, unit, seen
ORDER BY seen.influence_sum DESC, unit.id
LIMIT 1
MATCH (unit)-[drives:DRIVES]-(other:Unit)
WHERE drives.rollup = rollup.id AND drives.traces >= $min_traces
RETURN unit.name AS feature, CASE WHEN startNode(drives) = unit THEN "drives" ELSE "is driven by" END AS direction,
       other.name AS other, drives.traces AS traces, drives.weight_sum / drives.traces AS mean_weight,
       drives.share_sum / drives.traces AS mean_share, configuration.name AS configuration
ORDER BY mean_share DESC, other
LIMIT $limit;
