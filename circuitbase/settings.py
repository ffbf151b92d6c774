"""Where circuitbase finds its services, its store and its own data.

Read, first found wins, from `CIRCUITBASE_*` variables, `circuitbase.toml` in the working folder,
`circuitbase.toml` in the user's config folder, and, for what is still unset, from the connection
file that the private services write when they start (`HOME/connection.json`, readable by its owner
only).
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from circuitbase.errors import InputError, ServiceError

CONNECTION_FILE = "connection.json"
LONGEST_JOB_SECONDS = 5 * 3600  # shorter than the broker's visibility timeout


class Settings(BaseSettings):
    """Settings as given; what is None falls back to the private services under `home`."""

    model_config = SettingsConfigDict(
        env_prefix="CIRCUITBASE_",
        toml_file=[user_config_path("circuitbase") / "circuitbase.toml", Path("circuitbase.toml")],
        extra="ignore",
    )

    home: Path = user_data_path("circuitbase")
    cache: Path = user_cache_path("circuitbase")
    store: str | None = None
    neo4j_uri: str | None = None
    neo4j_user: str = "neo4j"
    neo4j_password: SecretStr | None = None
    neo4j_database: str = "neo4j"
    redis_url: SecretStr | None = None
    model_memory: ByteSize | None = None  # for a worker's models and dictionaries; None: half of the device's
    time_limit: int = Field(default=3600, ge=1, le=LONGEST_JOB_SECONDS)  # seconds that a worker's job may take
    worker_memory: ByteSize | None = None  # a worker's child that took more is replaced after its job
    log_format: Literal["text", "json"] = "text"  # of a worker
    maven_url: str | None = None  # a mirror to fetch Neo4j's jars from

    @field_validator("home", "cache")
    @classmethod
    def absolute(cls, path: Path) -> Path:
        """Returns the folder as servers and workers started elsewhere find it."""
        return path.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Returns the sources in order of precedence."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))

    @cached_property
    def private_connection(self) -> dict[str, str]:
        """Returns what the private services wrote at their last start; empty if they never ran."""
        path = self.home / CONNECTION_FILE
        if not path.exists():
            return {}
        try:
            return dict(json.loads(path.read_text()))
        except (json.JSONDecodeError, ValueError) as error:
            raise ServiceError(
                f"{path} should hold the private services' connection as JSON but does not ({error}); "
                "run `circuitbase up` to write it anew"
            ) from error

    @property
    def uses_private_services(self) -> bool:
        """Returns whether Neo4j is the private one (no URI was given)."""
        return self.neo4j_uri is None

    @property
    def store_url(self) -> str:
        """Returns the folder or fsspec URL that holds trace files."""
        return self.store or str(self.home / "store")

    def neo4j_connection(self) -> tuple[str, str, str]:
        """Returns (URI, user, password); raises ServiceError if neither is configured nor private."""
        if self.neo4j_uri is not None:
            password = self.neo4j_password.get_secret_value() if self.neo4j_password else ""
            return self.neo4j_uri, self.neo4j_user, password
        found = self.private_connection
        if "neo4j_uri" not in found:
            raise ServiceError(
                f"no Neo4j is configured and none was started under {self.home}; "
                "run `circuitbase up`, or set CIRCUITBASE_NEO4J_URI and CIRCUITBASE_NEO4J_PASSWORD"
            )
        return found["neo4j_uri"], found["neo4j_user"], found["neo4j_password"]

    def redis_connection(self) -> str:
        """Returns the Redis URL with its password; raises ServiceError if there is none."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        found = self.private_connection
        if "redis_url" not in found:
            raise ServiceError(
                f"no Redis is configured and none was started under {self.home}; "
                "run `circuitbase up`, or set CIRCUITBASE_REDIS_URL"
            )
        return found["redis_url"]


def load_settings() -> Settings:
    """Returns the settings of this process; raises InputError that names every bad value."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(
            f"the settings cannot be used: {problems}; correct CIRCUITBASE_* or circuitbase.toml"
        ) from error
