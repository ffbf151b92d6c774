"""The private Neo4j: its folder, its configuration and its command line.

Everything is under `HOME/neo4j`: `conf`, `data`, `logs` and `password` (readable by its owner only).
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from circuitbase.errors import ServiceError
from circuitbase.services.jars import jar_folder, locked_jars
from circuitbase.services.java import find_java
from circuitbase.services.memory import Memory
from circuitbase.services.ports import host_and_port, local_address
from circuitbase.services.private_files import password_at, private_folder, write_private
from circuitbase.services.reachable import Answer, ask_neo4j
from circuitbase.settings import Settings

USER = "neo4j"
ENTRY_POINT = "org.neo4j.server.CommunityEntryPoint"
ADMIN_TOOL = "org.neo4j.cli.AdminTool"

# The two settings against LOAD CSV close what a read-only session could otherwise read: any file of
# this user, and any address this machine reaches.
CONFIGURATION = """\
# Written by `circuitbase up` at every start; changes made here are lost.
server.bolt.listen_address={bolt}
server.http.listen_address={http}
server.https.enabled=false
dbms.security.auth_enabled=true
dbms.security.allow_csv_import_from_file_urls=false
internal.dbms.cypher_ip_blocklist=0.0.0.0/0,::/0
dbms.usage_report.enabled=false
client.allow_telemetry=false
browser.remote_content_hostname_whitelist=localhost,127.0.0.1
db.transaction.timeout=15m
db.lock.acquisition.timeout=5m
db.tx_log.preallocate=false
db.tx_log.rotation.retention_policy=512M size
db.logs.query.enabled=INFO
db.logs.query.threshold=5s
db.logs.query.parameter_logging_enabled=false
server.memory.pagecache.size={page_cache}
# Databases are closed before this wait for calls that cannot come; 5 seconds by default.
internal.dbms.bolt.netty_server_shutdown_quiet_period=0
"""

JAVA_OPTIONS = (
    "-XX:+ExitOnOutOfMemoryError",  # ended is found and restarted, half alive is not
    "-Dlog4j2.disable.jmx=true",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)


@dataclass(frozen=True)
class Neo4jServer:
    """A private Neo4j under the home of `settings`; implements `service.Service`."""

    settings: Settings
    memory: Memory

    name = "neo4j"
    title = "Neo4j"
    seconds_to_start = 240.0

    @property
    def home(self) -> Path:
        """Returns the folder that holds everything of this server."""
        return self.settings.home / "neo4j"

    @property
    def log(self) -> Path:
        """Returns the file that takes the server's output."""
        return self.home / "logs" / "console.log"

    @property
    def password_file(self) -> Path:
        """Returns the file that holds the password, readable by its owner only."""
        return self.home / "password"

    def configured(self) -> dict[str, tuple[str, int]]:
        """Returns (address, port) of `bolt` and `http` as last configured; empty before the first start."""
        path = self.home / "conf" / "neo4j.conf"
        text = path.read_text() if path.exists() else ""
        found = re.findall(r"^server\.(bolt|http)\.listen_address=(.+):(\d+)$", text, re.MULTILINE)
        return {name: (address.strip("[]"), int(port)) for name, address, port in found}

    def configure(self, listen: str, ports: dict[str, int]) -> None:
        """Writes the configuration and, before the very first start, sets the password."""
        for folder in (self.home, self.home / "conf", self.home / "data", self.home / "logs"):
            private_folder(folder)
        addresses = {name: host_and_port(listen, port) for name, port in ports.items()}
        text = CONFIGURATION.format(page_cache=self.memory.page_cache, **addresses)
        write_private(self.home / "conf" / "neo4j.conf", text)
        if not (self.home / "data" / "databases" / "system").exists():
            self._set_initial_password()

    def command(self) -> list[str]:
        """Returns the command line; the class path and all else that is long is in the environment."""
        return [
            str(find_java().executable),
            f"-Xms{self.memory.initial_heap}",
            f"-Xmx{self.memory.heap}",
            *self.memory.java_options,
            *JAVA_OPTIONS,
            ENTRY_POINT,
            f"--home-dir={self.home}",
            f"--config-dir={self.home / 'conf'}",
            "--console-mode",
        ]

    def environment(self) -> dict[str, str]:
        """Returns the environment: this one's, and the verified jars and no others as class path."""
        folder = jar_folder(self.settings)
        return {
            **os.environ,
            "CLASSPATH": os.pathsep.join(str(folder / jar.file_name) for jar in locked_jars()),
            "NEO4J_HOME": str(self.home),
            "NEO4J_CONF": str(self.home / "conf"),
        }

    def password(self) -> str:
        """Returns the password; raises ServiceError if its file is gone while the data is not."""
        if not self.password_file.exists() and (self.home / "data" / "databases" / "system").exists():
            raise ServiceError(
                f"{self.password_file} is missing, so the Neo4j under {self.home} cannot be entered; "
                f"write its password into that file, or delete {self.home} to start with an empty database"
            )
        return password_at(self.password_file)

    def uri(self) -> str:
        """Returns the Bolt address for clients on this machine."""
        address, port = self.configured()["bolt"]
        return f"bolt://{host_and_port(local_address(address), port)}"

    def browser_url(self) -> str:
        """Returns the address of Neo4j Browser for clients on this machine."""
        address, port = self.configured()["http"]
        return f"http://{host_and_port(local_address(address), port)}"

    def ask(self) -> Answer:
        """Asks the server whether it answers."""
        return ask_neo4j(self.uri(), user=USER, password=self.password(), database=self.settings.neo4j_database)

    def _set_initial_password(self) -> None:
        arguments = self.home / "conf" / "initial-password"
        write_private(arguments, self.password())  # in a file: a command line can be read by anyone
        try:
            answer = subprocess.run(
                [
                    str(find_java().executable),
                    "-XX:TieredStopAtLevel=1",
                    ADMIN_TOOL,
                    "dbms",
                    "set-initial-password",
                    f"@{arguments}",
                ],
                env=self.environment(),
                capture_output=True,
                text=True,
            )
        finally:
            arguments.unlink()
        if answer.returncode != 0:
            raise ServiceError(
                f"Neo4j's first password could not be set: {answer.stderr.strip() or answer.stdout.strip()}"
            )
