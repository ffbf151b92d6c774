// Edges that are in every trace of a set
// Edges with a presence of 1, the most influential first; $missing allows so many traces to lack them. Many are the
// template's: an edge from the words that all prompts share.
// $set STRING: a prompt set
// $missing INTEGER: traces that may lack the edge
// $limit INTEGER: rows to show
:param set => "capital-en";
:param missing => 0;
:param limit => 30;
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
WHERE rollup.traces > 0
MATCH (source:Unit)-[drives:DRIVES]->(target:Unit)
WHERE drives.rollup = rollup.id AND drives.traces >= rollup.traces - $missing
RETURN source.name AS source, target.name AS target, drives.traces AS traces_with_edge, rollup.traces AS traces,
       drives.influence_sum / rollup.traces AS mean_influence, drives.share_sum / drives.traces AS mean_share,
       drives.weight_sum / drives.traces AS mean_weight, configuration.name AS configuration
ORDER BY mean_influence DESC, source, target
LIMIT $limit;
