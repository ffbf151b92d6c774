// Prompts whose traces have a path through any one unit
// The traces that realise start → any unit → end through the same trace nodes, with the middles: the strength of a path
// is the product of its edges' shares, and of each middle the strongest counts. `circuitbase find` takes longer paths.
// $start STRING: a unit's name (L02/F00123, in " Paris") or id; empty, with $end, takes the strongest path of a trace
// $end STRING: a unit's name or id
// $set STRING: only prompts of this set; empty takes every prompt
// $middles INTEGER: middles to show of each trace
// $limit INTEGER: rows to show
:param start => "";
:param end => "";
:param set => "capital-en";
:param middles => 3;
:param limit => 20;
CALL () {
  MATCH (start:Unit) WHERE start.name = $start OR start.id = $start
  MATCH (end:Unit) WHERE end.name = $end OR end.id = $end
  RETURN start, end
  UNION
  WITH 1 AS once WHERE $start = "" AND $end = ""
  MATCH (:PromptSet {name: $set})<-[:IN_SET]-(:Prompt)<-[:OF_PROMPT]-(trace:Trace)
  WITH trace ORDER BY trace.id LIMIT 1
  MATCH (trace)-[:CONTAINS]->(middle:TraceNode)
  MATCH (first:TraceNode)-[into:AFFECTS]->(middle)-[out:AFFECTS]->(last:TraceNode)
  WITH first, last, into.share * out.share AS strength ORDER BY strength DESC LIMIT 1
  MATCH (first)-[:OF]->(start:Unit)
  MATCH (last)-[:OF]->(end:Unit)
  RETURN start, end
}
MATCH (start)<-[:OF]-(first:TraceNode)-[into:AFFECTS]->(middle:TraceNode)-[out:AFFECTS]->(last:TraceNode)-[:OF]->(end)
MATCH (middle)-[:OF]->(through:Unit)
MATCH (first)<-[:CONTAINS]-(trace:Trace)-[:OF_PROMPT]->(prompt:Prompt)
WHERE $set = "" OR EXISTS { (prompt)-[:IN_SET]->(:PromptSet {name: $set}) }
WITH start, end, trace, prompt, through, max(into.share * out.share) AS strength
ORDER BY strength DESC, through.id
WITH start, end, trace, prompt, max(strength) AS strength,
     collect({name: through.name, strength: strength}) AS found
ORDER BY strength DESC, trace.id LIMIT $limit
MATCH (trace)-[:UNDER]->(configuration:Configuration)
RETURN start.name AS start, [each IN found[0..$middles] | each.name] AS middles, end.name AS end,
       prompt.text AS prompt, strength, [each IN found[0..$middles] | each.strength] AS strengths,
       size(found) AS all_middles, trace.id AS trace, configuration.name AS configuration
ORDER BY strength DESC, trace;
