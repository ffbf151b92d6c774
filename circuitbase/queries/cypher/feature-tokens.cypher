// Tokens at the peaks of features
// The automatic label of features: the tokens at which they are strongest, with the number of prompts.
// $set STRING: a prompt set
// $limit INTEGER: rows to show
:param set => "capital-en";
:param limit => 30;
MATCH (:PromptSet {name: $set})<-[:IN_SET]-(prompt:Prompt)-[fires:ACTIVATES]->(unit:Feature)
WITH unit, prompt.tokens[fires.peak_position] AS token, count(*) AS times
ORDER BY times DESC, token
WITH unit, collect({token: token, times: times}) AS peaks, sum(times) AS prompts
RETURN unit.name AS feature, prompts, [peak IN peaks[0..4] | peak.token + " ×" + peak.times] AS peak_tokens
ORDER BY prompts DESC, feature
LIMIT $limit;
