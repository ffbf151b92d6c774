"""Resolves Neo4j's jars anew and rewrites `jars.lock.json`: `python -m circuitbase.services.lock`.

For maintainers, after raising a version below (and `jars.NEO4J_VERSION`). It takes a minute: jgo
reads every POM, then the jars are fetched and hashed. Read the difference before committing it.
"""

import hashlib
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from circuitbase.services.download import THREADS, download
from circuitbase.services.jars import LOCK_FILE, NEO4J_VERSION, Jar, maven_url
from circuitbase.settings import Settings, load_settings

BROWSER_VERSION = "5.24.0"
WANTED = (
    f"org.neo4j:neo4j:{NEO4J_VERSION}",
    f"org.neo4j:cypher-shell:{NEO4J_VERSION}",
    f"org.neo4j.client:neo4j-browser:{BROWSER_VERSION}",
)


def resolve(settings: Settings) -> list[str]:
    """Returns the sorted coordinates of the wanted jars and of all they need at run time."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as folder:
        maven = MavenContext(repo_cache=Path(folder), remote_repos={"central": maven_url(settings)})
        roots, transitive = maven.resolver.resolve([maven.create_dependency(wanted) for wanted in WANTED])
        return sorted(
            ":".join(part for part in (jar.groupId, jar.artifactId, jar.version, jar.classifier) if part)
            for jar in [*roots, *transitive]
        )


def lock_text(coordinates: list[str], settings: Settings) -> str:
    """Returns the lock of these jars, hashing each as the repository has it."""
    base = maven_url(settings)

    def locked(coordinate: str) -> dict[str, str | int]:
        content = download(f"{base}/{Jar(coordinate, '', 0).repository_path}")
        return {
            "coordinates": coordinate,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }

    with ThreadPoolExecutor(THREADS) as pool:
        jars = list(pool.map(locked, coordinates))
    lines = ",\n".join("    " + json.dumps(jar) for jar in jars)
    return f'{{\n  "wanted": {json.dumps(WANTED)},\n  "jars": [\n{lines}\n  ]\n}}\n'


def main() -> None:
    """Rewrites the lock beside this module."""
    settings = load_settings()
    coordinates = resolve(settings)
    path = Path(__file__).with_name(LOCK_FILE)
    path.write_text(lock_text(coordinates, settings))
    sys.stdout.write(f"{path}: {len(coordinates)} jars\n")


if __name__ == "__main__":
    main()
