// One trace as a graph
// The nodes and edges of one trace that carry the most influence; in Neo4j Browser a picture.
// $trace STRING: the first digits of a trace id; empty takes the first of the set
// $set STRING: a prompt set
// $limit INTEGER: edges to show
:param trace => "";
:param set => "capital-en";
:param limit => 60;
MATCH (:PromptSet {name: $set})<-[:IN_SET]-(:Prompt)<-[:OF_PROMPT]-(trace:Trace)
WHERE trace.id STARTS WITH $trace
WITH trace ORDER BY trace.id LIMIT 1
MATCH (trace)-[:CONTAINS]->(source:TraceNode)-[edge:AFFECTS]->(target:TraceNode)
WITH source, edge, target ORDER BY edge.influence DESC LIMIT $limit
MATCH (source)-[is_a:OF]->(from:Unit)
MATCH (target)-[is_b:OF]->(to:Unit)
RETURN source, edge, target, is_a, from, is_b, to;
