// Heads and MLPs that take part in two tasks
// Heads, MLPs and neurons that have a node in at least $min_presence of the component traces of both sets, under one
// configuration.
// $first STRING: a prompt set
// $second STRING: another prompt set
// $min_presence FLOAT: smallest fraction of each set's traces
// $limit INTEGER: rows to show
:param first => "capital-en";
:param second => "capital-fr";
:param min_presence => 0.3;
:param limit => 30;
MATCH (a:Rollup)-[:OVER]->(:PromptSet {name: $first}), (a)-[:UNDER]->(configuration:Configuration)
MATCH (b:Rollup)-[:OVER]->(:PromptSet {name: $second}), (b)-[:UNDER]->(configuration)
WHERE configuration.kind = "components" AND a.traces > 0 AND b.traces > 0
MATCH (a)<-[in_a:SEEN_IN {rollup: a.id}]-(unit:Head|Mlp|Neuron)-[in_b:SEEN_IN {rollup: b.id}]->(b)
WHERE in_a.traced >= $min_presence * a.traces AND in_b.traced >= $min_presence * b.traces
  AND in_a.traced > 0 AND in_b.traced > 0
WITH configuration, unit, toFloat(in_a.traced) / a.traces AS presence_first,
     toFloat(in_b.traced) / b.traces AS presence_second,
     in_a.influence_sum / a.traces AS influence_first, in_b.influence_sum / b.traces AS influence_second
RETURN unit.name AS unit, presence_first, presence_second, influence_first, influence_second,
       configuration.name AS configuration
ORDER BY influence_first + influence_second DESC, unit
LIMIT $limit;
