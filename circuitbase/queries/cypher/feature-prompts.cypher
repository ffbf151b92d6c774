// Prompts on which a feature fires
// The prompts of all sets on which a feature is strongest, with the token at its peak.
// $feature STRING: a feature's short name (L02/F00123) or the end of its id; empty takes the most active one
// $limit INTEGER: rows to show
:param feature => "";
:param limit => 20;
MATCH (unit:Feature)
WHERE unit.id ENDS WITH $feature
WITH unit, COUNT { (:Prompt)-[:ACTIVATES]->(unit) } AS prompts
ORDER BY prompts DESC, unit.id
LIMIT 1
MATCH (prompt:Prompt)-[fires:ACTIVATES]->(unit)
RETURN unit.name AS feature, prompt.text AS prompt, prompt.tokens[fires.peak_position] AS peak_token,
       fires.peak AS peak, fires.positions AS positions, fires.total AS total
ORDER BY peak DESC, prompt
LIMIT $limit;
