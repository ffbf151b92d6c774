// Support of two-edge paths into the outputs
// Counts the traces that realise a path feature → feature → output through the same trace nodes, beside
// the most that the presence of its two edges would allow. Most paths over a rollup's edges occur in no prompt.
// $set STRING: a prompt set
// $min_traces INTEGER: smallest number of traces that realise the path
// $limit INTEGER: rows to show
:param set => "capital-en";
:param min_traces => 3;
:param limit => 20;
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
MATCH (rollup)<-[:SUMMED_IN]-(trace:Trace)-[:CONTAINS]->(end:TraceNode)
WHERE (end)-[:OF]->(:RoleOutput) OR (end)-[:OF]->(:OutputToken)
MATCH (start:TraceNode)-[into:AFFECTS]->(middle:TraceNode)-[out:AFFECTS]->(end)
MATCH (start)-[:OF]->(a:Feature)
MATCH (middle)-[:OF]->(b:Feature)
MATCH (end)-[:OF]->(c:Unit)
WITH rollup, configuration, a, b, c, count(DISTINCT trace) AS support, avg(into.share * out.share) AS mean_strength
WHERE support >= $min_traces
ORDER BY support DESC, mean_strength DESC, a.id, b.id
LIMIT $limit
MATCH (a)-[first:DRIVES {rollup: rollup.id}]->(b)
MATCH (b)-[second:DRIVES {rollup: rollup.id}]->(c)
RETURN a.name AS start, b.name AS middle, c.name AS end, support, rollup.traces AS traces,
       CASE WHEN first.traces < second.traces THEN first.traces ELSE second.traces END AS edges_allow,
       mean_strength, configuration.name AS configuration
ORDER BY support DESC, mean_strength DESC, start, middle;
