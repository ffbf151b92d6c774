// What interventions did
// Heads and MLPs that were changed, and what that did to the metric on pairs, the largest effect first; of path
// patching also what alone was given the change.
// $method STRING: activation-patching, attribution-patching, path-patching, causal-tracing or knockout; empty: every one
// $direction STRING: noising or denoising; empty takes both, and interventions without a direction
// $model STRING: a model's id or name; empty takes every model
// $limit INTEGER: rows to show
:param method => "";
:param direction => "";
:param model => "";
:param limit => 30;
MATCH (intervention:Intervention)-[:IN_MODEL]->(model:Model)
WHERE ($method = "" OR intervention.method = $method)
  AND ($direction = "" OR intervention.direction = $direction)
  AND ($model = "" OR model.id = $model OR model.name = $model)
WITH intervention, model ORDER BY abs(intervention.effect) DESC, intervention.id LIMIT $limit
RETURN COLLECT { MATCH (intervention)-[:ON]->(unit:Unit) RETURN unit.name ORDER BY unit.name } AS units,
       COLLECT {
         MATCH (intervention)-[reaches:REACHES]->(unit:Unit)
         RETURN unit.name + coalesce("<" + reaches.port + ">", "") AS receiver ORDER BY receiver
       } AS receivers,
       intervention.name AS intervention, intervention.metric AS metric, intervention.effect AS effect,
       intervention.pairs AS pairs, model.id AS model
ORDER BY abs(effect) DESC, intervention;
