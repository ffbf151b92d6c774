// Stored subcircuits of a set
// Closed sets of edges that traces share through the same trace nodes, the highest lift first, then the largest by
// size times support; with their units, and prompts that realise them.
// $set STRING: a prompt set; empty takes every set
// $min_traces INTEGER: smallest number of traces that realise it
// $prompts INTEGER: prompts to show of each
// $limit INTEGER: rows to show
:param set => "capital-en";
:param min_traces => 2;
:param prompts => 3;
:param limit => 20;
MATCH (motif:Motif {kind: "subcircuit"})
WHERE ($set = "" OR motif.set = $set) AND motif.traces >= $min_traces
WITH motif ORDER BY coalesce(motif.lift, 0.0) DESC, motif.size * motif.traces DESC, motif.id LIMIT $limit
RETURN motif.set AS set, motif.size AS edges, motif.traces AS traces, motif.lift AS lift, motif.influence AS influence,
       COLLECT { MATCH (motif)-[involves:INVOLVES]->(unit:Unit) RETURN unit.name ORDER BY involves.place } AS units,
       COLLECT {
         MATCH (motif)-[:OCCURS_IN]->(trace:Trace)-[:OF_PROMPT]->(prompt:Prompt)
         RETURN prompt.text ORDER BY trace.id LIMIT $prompts
       } AS examples
ORDER BY coalesce(lift, 0.0) DESC, edges * traces DESC;
