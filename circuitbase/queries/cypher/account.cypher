// Account of a trace
// Adds up, for every target of the traces whose id starts with $trace, what is stored of it: in-edges (of an
// attention link the pairs that make its score), what pruning took away (rest) and what the constants give (bias effect). The sum is the target's
// pre-activation up to float32 rounding; the largest relative violation comes first.
// $trace STRING: the first digits of a trace id; empty takes every trace of the set
// $set STRING: a prompt set
// $limit INTEGER: rows to show
:param trace => "";
:param set => "capital-en";
:param limit => 20;
MATCH (:PromptSet {name: $set})<-[:IN_SET]-(prompt:Prompt)<-[:OF_PROMPT]-(trace:Trace)-[:CONTAINS]->(target:TraceNode)
WHERE trace.id STARTS WITH $trace AND target.preactivation IS NOT NULL
OPTIONAL MATCH (:TraceNode)-[edge:AFFECTS]->(target)
WITH prompt, trace, target, coalesce(sum(edge.weight), 0.0) AS edges
MATCH (target)-[:OF]->(unit:Unit)
WITH prompt, trace, target, unit, edges + CASE WHEN unit.kind = 'AttentionLink' THEN reduce(
       total = 0.0,
       score IN COLLECT {
         MATCH (trace)-[:CONTAINS]->(:TraceNode)-[pair:LOOKS_FOR]->() WHERE pair.link = target.index RETURN pair.score
       } | total + score
     ) ELSE 0.0 END AS edges
WITH prompt, trace, target, unit, edges,
     edges + target.rest + target.bias_effect - target.preactivation AS difference,
     target.absolute_input + abs(target.bias_effect) AS size
RETURN left(trace.id, 12) AS trace, prompt.text AS prompt, unit.name AS target, target.position AS position,
       edges, target.rest AS rest, target.bias_effect AS bias_effect, target.preactivation AS preactivation,
       CASE WHEN size > 0 THEN abs(difference) / size ELSE 0.0 END AS violation
ORDER BY violation DESC, trace, target, position
LIMIT $limit;
