"""Every Cypher text of this room. Property maps follow from the declaration, values are parameters.

Rows are lists in declared order (`schema/rows.py`); what comes before or after that order is said here.
"""

from circuitbase.schema.declaration import node, relationship
from circuitbase.schema.statements import assignments, property_map, row_properties

_PROMPT, _IN_SET, _UNIT, _TRACE_NODE = node("Prompt"), relationship("IN_SET"), node("Unit"), node("TraceNode")


def _single(label: str) -> str:
    """Returns a statement that makes one shared node from `$row` unless it is there."""
    owner = node(label)
    return f"MERGE (n:{label} {{{owner.key}: $row[0]}}) ON CREATE SET {assignments(owner, variable='n', row='$row')}"


# --- what is there -------------------------------------------------------------------------------

# What links configuration, dictionary and model is committed with them, so finding the nodes is enough.
TRACE_STATE = """
OPTIONAL MATCH (s:Schema {name: $schema})
OPTIONAL MATCH (t:Trace {id: $trace})
OPTIONAL MATCH (c:Configuration {id: $configuration})
OPTIONAL MATCH (p:Prompt {id: $prompt})
RETURN s.version AS version, t.array_digest AS array_digest, c IS NOT NULL AND p IS NOT NULL AS complete
"""

TRACE_DIGESTS = """
UNWIND $ids AS id
MATCH (t:Trace {id: id})
RETURN t.id AS id, t.array_digest AS array_digest
"""

EVERY_TRACE_DIGEST = """
MATCH (t:Trace)
RETURN t.id AS id, t.array_digest AS array_digest
"""

TRACE_DIGESTS_OF_SET = """
MATCH (:PromptSet {name: $set})<-[:IN_SET]-(:Prompt)<-[:OF_PROMPT]-(t:Trace)
RETURN DISTINCT t.id AS id, t.array_digest AS array_digest
"""

PROMPT_SETS = """
MATCH (s:PromptSet)
OPTIONAL MATCH (s)<-[:IN_SET]-(p:Prompt)
OPTIONAL MATCH (p)<-[:OF_PROMPT]-(t:Trace)-[:UNDER]->(c:Configuration)
WITH s, count(DISTINCT p) AS prompts, count(DISTINCT t) AS traces, collect(DISTINCT c.name) AS configurations
UNWIND CASE configurations WHEN [] THEN [null] ELSE configurations END AS configuration
WITH s, prompts, traces, configuration ORDER BY configuration
RETURN s.name AS set, prompts, traces, collect(configuration) AS configurations
ORDER BY set
"""

_TRACE_COLUMNS = """
MATCH (t)-[:UNDER]->(c:Configuration)
RETURN t.id AS trace, p.text AS prompt, c.name AS configuration,
       t.replacement_score AS replacement, t.completeness_score AS completeness,
       t.n_nodes AS nodes, t.n_edges AS edges, t.top_token AS top_token, t.answer_rank AS answer_rank,
       t.logit_difference AS logit_difference, toString(t.stored_at) AS stored_at
ORDER BY t.stored_at DESC, trace
LIMIT $limit
"""

ALL_TRACES = f"MATCH (t:Trace)-[:OF_PROMPT]->(p:Prompt) {_TRACE_COLUMNS}"

TRACES_OF_SET = f"""
MATCH (:PromptSet {{name: $set}})<-[:IN_SET]-(p:Prompt)<-[:OF_PROMPT]-(t:Trace)
{_TRACE_COLUMNS}
"""

MISSING_UNITS = """
UNWIND $ids AS id
OPTIONAL MATCH (u:Unit {id: id})
WITH id WHERE u IS NULL
RETURN collect(id) AS ids
"""

# --- what traces share, in a transaction of its own ----------------------------------------------

UPSERT_MODEL = _single("Model")
UPSERT_DICTIONARY = _single("Dictionary")
UPSERT_CONFIGURATION = _single("Configuration")
UPSERT_PROMPT = _single("Prompt")

# A writer that waited for another one's node finds the other's relationship with it: both were
# committed at once. So these stand once without MERGE, which would lock the ends.
LINK_DICTIONARY = """
MATCH (d:Dictionary {id: $dictionary}) WHERE NOT (d)-[:READS]->(:Model)
MATCH (m:Model {id: $model})
CREATE (d)-[:READS]->(m)
"""

LINK_CONFIGURATION_TO_MODEL = """
MATCH (c:Configuration {id: $configuration}) WHERE NOT (c)-[:OF_MODEL]->(:Model)
MATCH (m:Model {id: $model})
CREATE (c)-[:OF_MODEL]->(m)
"""

LINK_CONFIGURATION_TO_DICTIONARY = """
MATCH (c:Configuration {id: $configuration}) WHERE NOT (c)-[:USES]->(:Dictionary)
MATCH (d:Dictionary {id: $dictionary})
CREATE (c)-[:USES]->(d)
"""

# Rows: Unit, then the labels of its kind and layer.
UPSERT_UNITS = f"""
UNWIND $rows AS row
MERGE (u:Unit {{id: row[0]}})
ON CREATE SET {assignments(_UNIT, variable="u")}, u:$(row[{len(row_properties(_UNIT))}])
"""

LINK_UNITS = """
UNWIND $ids AS id
MATCH (u:Unit {id: id}) WHERE NOT (u)-[:IN_DICTIONARY]->(:Dictionary)
MATCH (d:Dictionary {id: $dictionary})
CREATE (u)-[:IN_DICTIONARY]->(d)
"""

# Rows: id of the unit, label. What a person or an earlier graph called it stays.
LABEL_UNITS = """
UNWIND $rows AS row
MATCH (u:Unit {id: row[0]}) WHERE u.label IS NULL
SET u.label = row[1]
"""

# Rows: id of the head's unit, Head. What was said of a head before is forgotten.
SET_HEAD_ROLES = f"""
UNWIND $rows AS row
MATCH (u:Unit {{id: row[0]}}) WHERE u:Head
SET {assignments(node("Head"), variable="u", first=1)}
"""

# --- one trace, in one transaction ---------------------------------------------------------------

# Writing to the prompt takes its lock, so that two traces of one prompt are written one by one.
LOCK_PROMPT = """
MATCH (p:Prompt {id: $prompt})
SET p.n_tokens = p.n_tokens
WITH p
OPTIONAL MATCH (t:Trace {id: $trace})
RETURN t.array_digest AS array_digest
"""

CREATE_TRACE = f"""
MATCH (p:Prompt {{id: $prompt}})
MATCH (c:Configuration {{id: $configuration}})
CREATE (c)<-[:UNDER]-(:Trace {property_map(node("Trace"), row="$row")})-[:OF_PROMPT]->(p)
"""

# Rows: TraceNode, then the id of its unit.
CREATE_TRACE_NODES = f"""
MATCH (t:Trace {{id: $trace}})
UNWIND $rows AS row
MATCH (u:Unit {{id: row[{len(row_properties(_TRACE_NODE))}]}})
CREATE (t)-[:CONTAINS]->(n:TraceNode {property_map(_TRACE_NODE)})-[:OF]->(u)
"""

# Rows: index of source, index of target, AFFECTS. Collecting the nodes once and indexing the list
# finds both ends faster than a look-up each.
CREATE_EDGES = f"""
MATCH (:Trace {{id: $trace}})-[:CONTAINS]->(n:TraceNode)
WITH n ORDER BY n.index
WITH collect(n) AS nodes
UNWIND $rows AS row
WITH nodes[row[0]] AS source, nodes[row[1]] AS target, row
CREATE (source)-[:AFFECTS {property_map(relationship("AFFECTS"), first=2)}]->(target)
"""

# Rows: index of the query's node, index of the key's, LOOKS_FOR.
CREATE_PAIRS = f"""
MATCH (:Trace {{id: $trace}})-[:CONTAINS]->(n:TraceNode)
WITH n ORDER BY n.index
WITH collect(n) AS nodes
UNWIND $rows AS row
WITH nodes[row[0]] AS source, nodes[row[1]] AS target, row
CREATE (source)-[:LOOKS_FOR {property_map(relationship("LOOKS_FOR"), first=2)}]->(target)
"""

KNOWN_ACTIVATIONS = """
MATCH (:Prompt {id: $prompt})-[:ACTIVATES]->(u:Unit)
RETURN collect(u.id) AS ids
"""

# Rows: id of the unit, ACTIVATES.
CREATE_ACTIVATIONS = f"""
MATCH (p:Prompt {{id: $prompt}})
UNWIND $rows AS row
MATCH (u:Unit {{id: row[0]}})
CREATE (p)-[:ACTIVATES {property_map(relationship("ACTIVATES"), first=1)}]->(u)
"""

# --- prompt sets ---------------------------------------------------------------------------------

# Writing to the set takes its lock: two writers of one set must not wait for each other's prompts.
LOCK_SET = f"""
MERGE (s:PromptSet {{name: $row[0]}})
ON CREATE SET {assignments(node("PromptSet"), variable="s", row="$row")}
SET s.name = s.name
"""

# Rows: Prompt. A prompt first given as tokens takes the text it is given later.
UPSERT_PROMPTS = f"""
UNWIND $rows AS row
MERGE (p:Prompt {{id: row[0]}})
ON CREATE SET {assignments(_PROMPT, variable="p")}
ON MATCH SET p.text = coalesce(p.text, row[1])
"""

# Rows: id of the prompt, IN_SET, then the labels as a map. What was said before is forgotten.
PUT_INTO_SET = f"""
MATCH (s:PromptSet {{name: $set}})
UNWIND $rows AS row
MATCH (p:Prompt {{id: row[0]}})
MERGE (p)-[r:IN_SET]->(s)
WITH r, row, coalesce(r.submitted_at, datetime()) AS submitted
SET r = row[{1 + len(row_properties(_IN_SET))}], {assignments(_IN_SET, variable="r", first=1)}
SET r.submitted_at = submitted
"""

# Rows as above; a prompt that is in the set keeps what was said of it.
JOIN_SET = f"""
MATCH (s:PromptSet {{name: $set}})
UNWIND $rows AS row
MATCH (p:Prompt {{id: row[0]}})
MERGE (p)-[r:IN_SET]->(s)
ON CREATE SET {assignments(_IN_SET, variable="r", first=1)}
"""

# --- interventions -------------------------------------------------------------------------------

# Rows: Intervention. One that is stored keeps its numbers: everything that they depend on is in its id.
UPSERT_INTERVENTIONS = f"""
UNWIND $rows AS row
MERGE (i:Intervention {{id: row[0]}})
ON CREATE SET {assignments(node("Intervention"), variable="i")}
WITH i
MATCH (m:Model {{id: $model}})
MERGE (i)-[:IN_MODEL]->(m)
"""

# Rows: id of the intervention, id of the unit.
LINK_INTERVENTIONS_TO_UNITS = """
UNWIND $rows AS row
MATCH (i:Intervention {id: row[0]})
MATCH (u:Unit {id: row[1]})
MERGE (i)-[:ON]->(u)
"""

# Rows: id of the intervention, id of the unit, REACHES. By its port, since a head may receive by several.
LINK_INTERVENTIONS_TO_RECEIVERS = f"""
UNWIND $rows AS row
MATCH (i:Intervention {{id: row[0]}})
MATCH (u:Unit {{id: row[1]}})
WHERE NOT EXISTS {{
  MATCH (i)-[known:REACHES]->(u)
  WHERE coalesce(known.port, '') = coalesce(row[2], '')
}}
CREATE (i)-[:REACHES {property_map(relationship("REACHES"), first=2)}]->(u)
"""
