// Stored supernodes of a set
// Units that play one role over the traces of a set, with the evidence for every two of them: duplicates occur in the
// same traces, alternatives stand for each other, edited ones were put together by a person.
// $set STRING: a prompt set; empty takes every set
// $limit INTEGER: rows to show
:param set => "capital-en";
:param limit => 50;
MATCH (supernode:Supernode)
WHERE $set = "" OR supernode.set = $set
WITH supernode ORDER BY supernode.size DESC, supernode.name, supernode.id LIMIT $limit
RETURN supernode.set AS set, supernode.name AS supernode, supernode.size AS size, supernode.pinned AS pinned,
       COLLECT { MATCH (supernode)-[:GROUPS]->(unit:Unit) RETURN unit.name ORDER BY unit.name } AS members,
       COLLECT {
         MATCH (first:Unit)-[resembles:RESEMBLES {supernode: supernode.id}]->(second:Unit)
         RETURN first.name + " " + second.name + ": " + resembles.evidence ORDER BY first.name, second.name
       } AS evidence
ORDER BY size DESC, supernode;
