// Pairs that made a head look there
// For every attention link of a set's traces (made with --explain-attention): which trace node at the query's side
// and which at the key's added most to its score, and what that is worth in attention, integrated from the uniform
// pattern. A link's pairs, its bias effect and its rest add up to its score.
// $set STRING: a prompt set
// $trace STRING: the first digits of a trace id; empty takes every trace of the set
// $head STRING: a head such as L01/head/2; empty takes every one that was explained
// $limit INTEGER: rows to show
:param set => "capital-en";
:param trace => "";
:param head => "";
:param limit => 20;
MATCH (:PromptSet {name: $set})<-[:IN_SET]-(prompt:Prompt)<-[:OF_PROMPT]-(trace:Trace)-[:CONTAINS]->(link:TraceNode)
MATCH (link)-[:OF]->(looking:AttentionLink)
WHERE trace.id STARTS WITH $trace AND ($head = "" OR looking.name = $head + "/link")
MATCH (trace)-[:CONTAINS]->(asking:TraceNode)-[pair:LOOKS_FOR]->(offering:TraceNode)
WHERE pair.link = link.index
MATCH (asking)-[:OF]->(query_unit:Unit)
MATCH (offering)-[:OF]->(key_unit:Unit)
RETURN left(trace.id, 12) AS trace, looking.name AS link, link.position AS query, link.key_position AS key,
       prompt.tokens[link.key_position] AS key_token, link.activation AS attention, link.preactivation AS score,
       query_unit.name AS query_side, asking.position AS query_side_position,
       key_unit.name AS key_side, offering.position AS key_side_position,
       pair.score AS pair_score, pair.attention AS pair_attention
ORDER BY abs(pair.score) DESC, trace, link, query, key, query_side, key_side, query_side_position, key_side_position
LIMIT $limit;
