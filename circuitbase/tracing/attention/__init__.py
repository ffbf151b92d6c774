"""Why a head looks where it looks: scores by pairs of nodes, weights by parts of scores, changes by key."""
