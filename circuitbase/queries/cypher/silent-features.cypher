// Features that fire over a set and never matter
// Features that are active in some of a set's traces and have a node after pruning in at most $most_traces of them, with
// a mean influence over all traces of at most $most_influence; the most active first.
// $set STRING: a prompt set
// $most_traces INTEGER: traces in which the feature may have a node; 0 lists those that no trace keeps
// $most_influence FLOAT: largest mean influence
// $limit INTEGER: rows to show
:param set => "capital-en";
:param most_traces => 0;
:param most_influence => 0.001;
:param limit => 30;
MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}), (rollup)-[:UNDER]->(configuration:Configuration)
WHERE rollup.traces > 0
MATCH (unit:Feature)-[seen:SEEN_IN]->(:Rollup)
WHERE seen.rollup = rollup.id AND seen.traced <= $most_traces
  AND seen.active_traces > 0 AND seen.influence_sum <= $most_influence * rollup.traces
RETURN unit.name AS feature, seen.active_traces AS active_traces, seen.traced AS traced,
       seen.influence_sum / rollup.traces AS mean_influence,
       seen.activation_sum / seen.active_traces AS mean_activation, rollup.traces AS traces,
       configuration.name AS configuration
ORDER BY active_traces DESC, mean_activation DESC, feature
LIMIT $limit;
