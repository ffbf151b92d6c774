// Units that a head looks for
// Over all traces of a set whose attention was explained: which unit at the query's side and which at the key's add
// to a head's scores, in how many traces, and by how much on average where they do (summed over positions).
// $set STRING: a prompt set
// $head STRING: a head such as L01/head/2; empty takes every one that was explained
// $limit INTEGER: rows to show
:param set => "capital-en";
:param head => "";
:param limit => 20;
MATCH (:PromptSet {name: $set})<-[:IN_SET]-(:Prompt)<-[:OF_PROMPT]-(trace:Trace)-[:CONTAINS]->(link:TraceNode)
MATCH (link)-[:OF]->(looking:AttentionLink)
WHERE $head = "" OR looking.name = $head + "/link"
MATCH (trace)-[:CONTAINS]->(asking:TraceNode)-[pair:LOOKS_FOR]->(offering:TraceNode)
WHERE pair.link = link.index
MATCH (asking)-[:OF]->(query_unit:Unit)
MATCH (offering)-[:OF]->(key_unit:Unit)
WITH looking, query_unit, key_unit, trace, sum(pair.score) AS score, sum(pair.attention) AS attention
WITH looking, query_unit, key_unit, count(trace) AS traces, avg(score) AS mean_score, avg(attention) AS mean_attention
RETURN looking.name AS link, query_unit.name AS query_side, key_unit.name AS key_side, traces, mean_score,
       mean_attention
ORDER BY traces * abs(mean_score) DESC, link, query_side, key_side
LIMIT $limit;
