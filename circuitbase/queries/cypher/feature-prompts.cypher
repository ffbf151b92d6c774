// Prompts on which a feature fires
// The prompts of all sets on which a feature is strongest, with the token at its peak; unit-prompts says where it has a
// node after pruning.
// $feature STRING: a feature's short name (L02/F00123) or id; empty takes the most active one
// $limit INTEGER: rows to show
:param feature => "";
:param limit => 20;
CALL () {
  MATCH (unit:Unit) WHERE unit.name = $feature OR unit.id = $feature
  RETURN unit
  UNION
  WITH 1 AS once WHERE $feature = ""
  MATCH (unit:Feature)
  WITH unit, COUNT { (unit)<-[:ACTIVATES]-() } AS prompts ORDER BY prompts DESC, unit.id LIMIT 1
  RETURN unit
}
MATCH (prompt:Prompt)-[fires:ACTIVATES]->(unit)
RETURN unit.name AS feature, prompt.text AS prompt, prompt.tokens[fires.peak_position] AS peak_token,
       fires.peak AS peak, fires.positions AS positions, fires.total AS total
ORDER BY peak DESC, prompt
LIMIT $limit;
