// Traces that the dictionary explains least
// The traces with the lowest replacement score: most of their influence comes from reconstruction errors.
// $limit INTEGER: rows to show
:param limit => 20;
MATCH (set:PromptSet)<-[:IN_SET]-(prompt:Prompt)<-[:OF_PROMPT]-(trace:Trace)
RETURN left(trace.id, 12) AS trace, collect(DISTINCT set.name) AS sets, prompt.text AS prompt,
       trace.replacement_score AS replacement_score, trace.completeness_score AS completeness_score,
       trace.n_active AS active_features
ORDER BY replacement_score, trace
LIMIT $limit;
