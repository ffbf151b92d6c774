// Units that tell two prompt sets apart
// Features whose presence differs most between two sets under one configuration. A set in which the
// feature never has a node counts as presence 0.
// $first STRING: a prompt set
// $second STRING: another prompt set
// $limit INTEGER: rows to show
:param first => "capital-en";
:param second => "capital-fr";
:param limit => 30;
MATCH (a:Rollup)-[:OVER]->(:PromptSet {name: $first}), (a)-[:UNDER]->(configuration:Configuration)
MATCH (b:Rollup)-[:OVER]->(:PromptSet {name: $second}), (b)-[:UNDER]->(configuration)
WHERE a.traces > 0 AND b.traces > 0
MATCH (unit:Feature)-[seen:SEEN_IN]->(rollup:Rollup)
WHERE rollup IN [a, b]
WITH configuration, a, b, unit,
     sum(CASE WHEN rollup = a THEN seen.traced ELSE 0 END) AS traced_first,
     sum(CASE WHEN rollup = b THEN seen.traced ELSE 0 END) AS traced_second
WITH configuration, unit, toFloat(traced_first) / a.traces AS presence_first,
     toFloat(traced_second) / b.traces AS presence_second
WHERE presence_first <> presence_second
RETURN unit.name AS unit, presence_first, presence_second, presence_first - presence_second AS difference,
       configuration.name AS configuration
ORDER BY abs(difference) DESC, unit
LIMIT $limit;
