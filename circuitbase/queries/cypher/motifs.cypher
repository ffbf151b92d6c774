// Stored motifs of a set
// Instances of structural motifs that `circuitbase motifs --instances TYPE --store` kept, the best supported first;
// with their units in the order of the shape's roles, and prompts that realise them through the same trace nodes.
// $set STRING: a prompt set; empty takes every set
// $type STRING: the first letters of a type such as chain:++; empty takes every type
// $prompts INTEGER: prompts to show of each
// $limit INTEGER: rows to show
:param set => "capital-en";
:param type => "";
:param prompts => 3;
:param limit => 20;
MATCH (motif:Motif {kind: "structural"})
WHERE ($set = "" OR motif.set = $set) AND motif.type STARTS WITH $type
WITH motif ORDER BY motif.traces DESC, motif.size DESC, motif.id LIMIT $limit
RETURN motif.set AS set, motif.type AS type, motif.traces AS traces,
       COLLECT { MATCH (motif)-[involves:INVOLVES]->(unit:Unit) RETURN unit.name ORDER BY involves.place } AS units,
       COLLECT {
         MATCH (motif)-[:OCCURS_IN]->(trace:Trace)-[:OF_PROMPT]->(prompt:Prompt)
         RETURN prompt.text ORDER BY trace.id LIMIT $prompts
       } AS examples
ORDER BY traces DESC, type, units;
