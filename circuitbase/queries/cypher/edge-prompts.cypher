// Prompts whose traces have an edge
// The traces in which one unit affects another, the largest share of the target's input first; weight, share and
// influence are summed over the pairs of positions that the edge joins.
// $source STRING: a unit's name (L02/F00123, in " Paris") or id; empty, with $target, takes the set's strongest edge
// $target STRING: a unit's name or id
// $set STRING: only prompts of this set; empty takes every prompt
// $limit INTEGER: rows to show
:param source => "";
:param target => "";
:param set => "capital-en";
:param limit => 20;
CALL () {
  MATCH (source:Unit) WHERE source.name = $source OR source.id = $source
  MATCH (target:Unit) WHERE target.name = $target OR target.id = $target
  RETURN source, target
  UNION
  WITH 1 AS once WHERE $source = "" AND $target = ""
  MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set})
  MATCH (source:Unit)-[drives:DRIVES]->(target:Unit)
  WHERE drives.rollup = rollup.id AND drives.traces >= 1
  WITH source, target, drives ORDER BY drives.influence_sum DESC, drives.key LIMIT 1
  RETURN source, target
}
MATCH (source)<-[:OF]-(start:TraceNode)-[edge:AFFECTS]->(end:TraceNode)-[:OF]->(target)
MATCH (start)<-[:CONTAINS]-(trace:Trace)-[:OF_PROMPT]->(prompt:Prompt)
WHERE $set = "" OR EXISTS { (prompt)-[:IN_SET]->(:PromptSet {name: $set}) }
WITH source, target, trace, prompt, count(edge) AS pairs, sum(edge.weight) AS weight, sum(edge.share) AS share,
     sum(edge.influence) AS influence
ORDER BY share DESC, trace.id LIMIT $limit
MATCH (trace)-[:UNDER]->(configuration:Configuration)
RETURN source.name AS source, target.name AS target, prompt.text AS prompt, share, weight, influence, pairs,
       trace.id AS trace, configuration.name AS configuration
ORDER BY share DESC, trace;
