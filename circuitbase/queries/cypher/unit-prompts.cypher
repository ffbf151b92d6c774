// Prompts whose traces use a unit
// The traces in which a feature, token, output or head has a node after pruning, the most influential first, with the
// tokens at its positions. On which prompts a feature fires, traced or not, is what feature-prompts says.
// $unit STRING: a unit's name (L02/F00123, in " Paris") or id; empty takes the set's most influential feature
// $set STRING: only prompts of this set; empty takes every prompt
// $limit INTEGER: rows to show
:param unit => "";
:param set => "capital-en";
:param limit => 20;
CALL () {
  MATCH (unit:Unit) WHERE unit.name = $unit OR unit.id = $unit
  RETURN unit
  UNION
  WITH 1 AS once WHERE $unit = ""
  MATCH (unit:Feature)-[seen:SEEN_IN]->(:Rollup)-[:OVER]->(:PromptSet {name: $set})
  WITH unit, seen ORDER BY seen.influence_sum DESC, unit.id LIMIT 1
  RETURN unit
}
MATCH (unit)<-[:OF]-(node:TraceNode)<-[:CONTAINS]-(trace:Trace)-[:OF_PROMPT]->(prompt:Prompt)
WHERE $set = "" OR EXISTS { (prompt)-[:IN_SET]->(:PromptSet {name: $set}) }
WITH unit, trace, prompt, node ORDER BY node.position
WITH unit, trace, prompt, sum(node.influence) AS influence, max(node.activation) AS activation,
     collect(node.token) AS tokens
ORDER BY influence DESC, trace.id LIMIT $limit
MATCH (trace)-[:UNDER]->(configuration:Configuration)
RETURN unit.name AS unit, prompt.text AS prompt, tokens, influence, activation, trace.id AS trace,
       configuration.name AS configuration
ORDER BY influence DESC, trace;
