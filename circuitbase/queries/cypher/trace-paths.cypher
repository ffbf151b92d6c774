// Strongest two-edge paths of a trace
// Paths over the trace's own nodes, so each is realised in this prompt, by the product of input shares.
// $trace STRING: the first digits of a trace id; empty takes the first of the set
// $set STRING: a prompt set
// $limit INTEGER: rows to show
:param trace => "";
:param set => "capital-en";
:param limit => 20;
MATCH (:PromptSet {name: $set})<-[:IN_SET]-(prompt:Prompt)<-[:OF_PROMPT]-(trace:Trace)
WHERE trace.id STARTS WITH $trace
WITH prompt, trace ORDER BY trace.id LIMIT 1
MATCH (trace)-[:CONTAINS]->(middle:TraceNode)
MATCH (start:TraceNode)-[into:AFFECTS]->(middle)-[out:AFFECTS]->(end:TraceNode)
WITH prompt, start, into, middle, out, end, into.share * out.share AS strength
ORDER BY strength DESC LIMIT $limit
MATCH (start)-[:OF]->(a:Unit)
MATCH (middle)-[:OF]->(b:Unit)
MATCH (end)-[:OF]->(c:Unit)
RETURN prompt.text AS prompt, a.name AS start, start.position AS start_position, into.weight AS first_weight,
       b.name AS middle, middle.position AS middle_position, out.weight AS second_weight, c.name AS end,
       strength
ORDER BY strength DESC;
