// Prompts that the model gets wrong, or nearly
// Traces by the rank of their answer, then by how little its logit exceeds the distractor's: wrong answers
// first, narrow ones next. Only where a role names the answer.
// $limit INTEGER: rows to show
:param limit => 20;
MATCH (set:PromptSet)<-[membership:IN_SET]-(prompt:Prompt)<-[:OF_PROMPT]-(trace:Trace)
WHERE trace.answer_rank IS NOT NULL
RETURN set.name AS set, prompt.text AS prompt, membership.answer AS answer, trace.top_token AS top_token,
       trace.correct AS correct, trace.answer_rank AS answer_rank, trace.logit_difference AS logit_difference,
       trace.top_probability AS top_probability
ORDER BY answer_rank DESC, logit_difference, top_probability, set, prompt
LIMIT $limit;
