// What is stored
// Every prompt set with its traces, nodes and edges, and how well the model and the dictionary do on it.
MATCH (set:PromptSet)<-[:IN_SET]-(prompt:Prompt)
OPTIONAL MATCH (prompt)<-[:OF_PROMPT]-(trace:Trace)
RETURN set.name AS set, count(DISTINCT prompt) AS prompts, count(trace) AS traces, sum(trace.n_nodes) AS nodes,
       sum(trace.n_edges) AS edges, avg(trace.replacement_score) AS mean_replacement_score,
       avg(CASE WHEN trace.correct THEN 1.0 WHEN NOT trace.correct THEN 0.0 END) AS accuracy
ORDER BY set;
