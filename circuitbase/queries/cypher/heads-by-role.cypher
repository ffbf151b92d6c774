// Attention heads by role
// Heads whose score for a role is above its bound, the highest first; `circuitbase heads --store` measures and stores them (docs/components.md defines the roles).
// $role STRING: a role, such as induction, previous_token or name_mover; empty for all
// $model STRING: start of a model's id, such as its name; empty for all
// $limit INTEGER: rows to show
:param role => "";
:param model => "";
:param limit => 100;
MATCH (head:Head)
WHERE head.id STARTS WITH $model
UNWIND head.roles AS role
WITH head, role
WHERE $role = "" OR role = $role
RETURN role, head.name AS head, head[role] AS score, head.roles AS roles,
       left(head.id, size(head.id) - size(head.name) - 1) AS model
ORDER BY model, role, score DESC, head
LIMIT $limit;
