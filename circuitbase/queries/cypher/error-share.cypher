// How much influence reconstruction errors carry
// Mean influence of features and of errors by layer, and of input tokens, over a prompt set. The less the
// errors carry, the more of what happens the dictionary explains.
// $set STRING: a prompt set
:param set => "capital-en";
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
WHERE rollup.traces > 0
MATCH (unit:Unit)-[seen:SEEN_IN]->(rollup)
WHERE unit.kind IN ["InputToken", "Feature", "LayerError"]
WITH configuration, rollup, unit.kind AS kind, coalesce(unit.layer, -1) AS layer, sum(seen.influence_sum) AS influence
RETURN kind, CASE WHEN layer < 0 THEN null ELSE layer END AS layer, influence / rollup.traces AS mean_influence,
       configuration.name AS configuration
ORDER BY configuration, kind, layer;
