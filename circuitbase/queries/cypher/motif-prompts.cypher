// Prompts that realise a stored motif or subcircuit
// The traces that hold all edges of one stored motif through the same trace nodes, as `motifs --store` and the search
// for subcircuits kept them.
// $motif STRING: the first digits of a motif's id; empty takes the best supported one
// $limit INTEGER: rows to show
:param motif => "";
:param limit => 20;
MATCH (motif:Motif) WHERE motif.id STARTS WITH $motif
WITH motif ORDER BY motif.traces DESC, motif.size DESC, motif.id LIMIT 1
MATCH (motif)-[:OCCURS_IN]->(trace:Trace)-[:OF_PROMPT]->(prompt:Prompt)
WITH motif, trace, prompt ORDER BY trace.id LIMIT $limit
RETURN prompt.text AS prompt, trace.id AS trace, motif.kind AS kind, motif.type AS type,
       COLLECT { MATCH (motif)-[involves:INVOLVES]->(unit:Unit) RETURN unit.name ORDER BY involves.place } AS units,
       motif.traces AS traces, motif.set AS set, motif.id AS motif
ORDER BY trace;
