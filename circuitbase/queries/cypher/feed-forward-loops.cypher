// Feed-forward loops that recur over a set
// A loop is a → b → c with a → c, coherent if the sign of a → c is the product of the other two. Counts the traces that
// realise it through the same trace nodes, without errors. Signs and positions (s: one position, o: another) are those
// of a → b, b → c and a → c; edges into several inputs of a head count apart.
// $set STRING: a prompt set
// $min_traces INTEGER: smallest number of traces that realise it
// $limit INTEGER: rows to show
:param set => "capital-en";
:param min_traces => 2;
:param limit => 20;
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
MATCH (rollup)<-[:SUMMED_IN]-(trace:Trace)-[:CONTAINS]->(start:TraceNode)
MATCH (start)-[first:AFFECTS]->(middle:TraceNode)-[second:AFFECTS]->(end:TraceNode)
MATCH (start)-[across:AFFECTS]->(end)
MATCH (start)-[:OF]->(a:Unit)
WHERE NOT a:LayerError
MATCH (middle)-[:OF]->(b:Unit)
MATCH (end)-[:OF]->(c:Unit)
WITH rollup, configuration, trace, a, b, c,
     reduce(signs = "", edge IN [first, second, across] |
       signs + CASE WHEN edge.weight > 0 THEN "+" ELSE "-" END
     ) AS signs,
     reduce(positions = "", pair IN [[start, middle], [middle, end], [start, end]] |
       positions + CASE WHEN pair[0].position = pair[1].position AND pair[0].position >= 0 THEN "s" ELSE "o" END
     ) AS positions
WITH rollup, configuration, a, b, c, signs, positions, count(DISTINCT trace) AS support
WHERE support >= $min_traces
ORDER BY support DESC, a.id, b.id, c.id, signs, positions
LIMIT $limit
RETURN a.name AS a, b.name AS b, c.name AS c, signs, positions, signs IN ["+++", "+--", "-+-", "--+"] AS coherent,
       support, rollup.traces AS traces, configuration.name AS configuration
ORDER BY support DESC, a, b, c, signs, positions;
