"""Settings: defaults < ``workbench.toml`` in the workspace < environment < arguments."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workbench.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["PREFIX", "Setting", "Settings", "load_settings", "origins"]

PREFIX = "WORKBENCH_"
FILE = "workbench.toml"
# a wrong value may be, or hold, a key
_NOT_SHOWN = frozenset(
    {
        *("llm_api_key", "llm_base_url", "embedder_api_key", "embedder_base_url", "s3_endpoint"),
        *("smtp_password", "telegram_url"),
    }
)


class Settings(BaseModel):
    """Everything that can be set, frozen once loaded. Secrets never stand here."""

    # hide_input: what is refused may be a key that somebody wrote in the wrong place
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    timezone: str = Field("", description="IANA time zone of screens, SQL and plans; empty: the schema's.")
    window: Literal["all"] | int = Field("all", description="Retained days, or 'all'.")
    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="Where kernels run.")
    cluster: str = Field(
        "",
        description="Where a task's parts run, a segment each: 'local' processes, or the address of a Dask "
        "scheduler, tcp://host:port; empty: in threads.",
    )
    batch_mb: int = Field(
        2048, ge=1, description="Input, in MB, that ingest takes in before it publishes, as it is in memory."
    )
    max_bad_share: float = Field(
        0.2, ge=0, le=1, description="Share of bad records above which a file is quarantined whole."
    )
    max_columns: int = Field(500, ge=1, description="Most columns that a source may have.")
    watch_seconds: float = Field(
        2.0,
        gt=0,
        description="Seconds between two looks at a watched file: the same at both, it is complete.",
    )
    stream_seconds: float = Field(
        5.0, gt=0, description="Seconds after which streamed events become visible, at most."
    )
    stream_backlog_mb: int = Field(
        256, ge=1, description="Streamed events, in MB, that may wait to become visible; more are sent back."
    )
    stream_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of the time that goes into keeping partials of streamed days current.",
    )
    stream_key: str = Field(
        "",
        description="Fields (comma-separated) whose values make a streamed event the same again, where it "
        "comes without an idempotency key; empty: none.",
    )
    disk_reserve_mb: int = Field(
        -1,
        ge=-1,
        description="MB of the disk that ingest leaves free; -1: a twentieth of it, at most 1 GB.",
    )
    evict_when_full: bool = Field(
        False,
        description="Where the disk's reserve is touched and the window is no 'all': evict the oldest day "
        "rather than refuse new events; never the newest.",
    )
    force_network: bool = Field(
        False, description="Write also to a workspace on a network file system, where locks may not hold."
    )
    mirror_cache: str = Field(
        "",
        description="Directory for what was fetched from mirrors; empty: workbench in the user's cache.",
    )
    mirror_cache_mb: int = Field(
        10_240, ge=1, description="MB of it that stay, but for files that were used in the last minutes."
    )
    knowledge_mb: int = Field(
        2_048, ge=1, description="MB of results that are kept; of older ones the last of each day, then week."
    )
    history_days: int = Field(
        0, ge=0, description="Past days for which 'workbench run' also computes what was known then."
    )
    s3_endpoint: str = Field("", description="Address of S3, for what speaks like it; empty: the library's.")
    s3_timeout: float = Field(30.0, gt=0, description="Seconds that S3 may be silent.")
    s3_retries: int = Field(4, ge=0, le=10, description="How often a request that failed is sent again.")
    sql_timeout: float = Field(60.0, gt=0, description="Seconds that one statement may run.")
    sql_memory: str = Field("2GB", pattern=r"^\d+(\.\d+)?(MB|GB)$", description="Memory of the SQL worker.")
    threads: int = Field(0, ge=0, description="Worker threads; 0: the machine's cores.")
    llm_provider: str = Field(
        "",
        description="Who answers with a language model: a provider, or several in order of preference "
        "(comma-separated, each also as name:model); empty: nobody.",
    )
    llm_model: str = Field("", description="The first provider's model; empty: its default, if it has one.")
    llm_base_url: str = Field("", description="The first provider's address; empty: its own.")
    llm_api_key: str = Field(
        "",
        description="Where the first provider's key stands, never the key: env:NAME or keyring:SERVICE/NAME; "
        "empty: the provider's customary variable.",
    )
    llm_timeout: float = Field(120.0, gt=0, description="Seconds that an answer may take, retries included.")
    llm_retries: int = Field(2, ge=0, le=10, description="How often a failed request is sent again.")
    llm_values: Literal["never", "local", "always"] = Field(
        "local", description="Whether prompts hold values of the data: only to providers on this machine."
    )
    llm_hidden_fields: str = Field(
        "", description="Fields whose values no prompt holds (comma-separated), whatever llm_values says."
    )
    llm_session_tokens: int = Field(0, ge=0, description="Most tokens that a session may use; 0: no cap.")
    llm_day_tokens: int = Field(1_000_000, ge=0, description="Most tokens in a day (UTC); 0: no cap.")
    llm_day_cost: float = Field(0.0, ge=0, description="Most that a day (UTC) may cost; 0: no cap.")
    llm_input_price: float = Field(
        0.0, ge=0, description="Price of a million tokens sent to the first provider."
    )
    llm_output_price: float = Field(0.0, ge=0, description="Price of a million tokens it answers with.")
    embedder: str = Field(
        "static", description="What turns texts into vectors: an embedder, also as name:model."
    )
    embedder_reduction: str = Field(
        "", description="Fewer numbers a vector: first:N keeps the first, pca:FILE turns them by fitted axes."
    )
    vector_index: str = Field(
        "faiss:int8",
        description="The index over the vectors of a segment with many texts, as driver:storage.",
    )
    embedder_base_url: str = Field("", description="The embedder's server; empty: its own.")
    embedder_api_key: str = Field(
        "",
        description="Where the embedder's key stands, never the key: env:NAME or keyring:SERVICE/NAME; "
        "empty: its customary variable.",
    )
    planner: Literal["grammar", "model", "both"] = Field(
        "grammar", description="Who turns questions into plans."
    )
    step_timeout: float = Field(30.0, gt=0, description="Seconds that one step of a plan may run.")
    plan_rows: int = Field(200_000_000, ge=1, description="Most documents that a plan may read.")
    notify_hosts: str = Field(
        "",
        description="Hosts (comma-separated, host, *.domain or host:port) that rules may send notifications "
        "to; empty: none.",
    )
    notify_private: str = Field(
        "",
        description="Those of them that may lie at private, loopback or link-local addresses; empty: none.",
    )
    notify_timeout: float = Field(10.0, gt=0, description="Seconds that one notification may take.")
    notify_retries: int = Field(
        3, ge=0, le=10, description="How often a notification that failed is sent again at once."
    )
    smtp_host: str = Field("", description="Server that sends notifications by e-mail; empty: none.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection to it is encrypted."
    )
    smtp_user: str = Field("", description="Name to log in with; empty: without.")
    smtp_password: str = Field(
        "",
        description="Where the password stands, never the password: env:NAME or keyring:SERVICE/NAME.",
    )
    smtp_from: str = Field("", description="Sender of notifications by e-mail; empty: the user's name.")
    telegram_url: str = Field(
        "https://api.telegram.org", description="Address of Telegram's bots, for what speaks like them."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="What is logged to standard error."
    )
    log_json: bool = Field(False, description="Log lines as JSON instead of text.")

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        from workbench.config.entity_schema import check_timezone  # noqa: PLC0415  (keeps start-up light)

        return check_timezone(value) if value else value

    @field_validator("window")
    @classmethod
    def _positive(cls, value: str | int) -> str | int:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be 'all' or at least 1 day")
        return value

    @field_validator("llm_api_key", "embedder_api_key", "smtp_password")
    @classmethod
    def _reference(cls, value: str) -> str:
        if value and not re.fullmatch(r"env:\w+|keyring:[^/]+/.+", value):
            raise ValueError("a key itself never stands in settings: write env:NAME or keyring:SERVICE/NAME")
        return value

    @field_validator("llm_base_url", "embedder_base_url", "s3_endpoint", "telegram_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", value):
            raise ValueError("must be http(s)://host[:port][/path], without a name or a key in it")
        return value

    @field_validator("cluster")
    @classmethod
    def _executor(cls, value: str) -> str:
        if value and value != "local" and not re.fullmatch(r"(tcp|tls)://[^\s/?#@:]+:\d+", value):
            raise ValueError("must be 'local' or tcp://host:port")
        return value

    @field_validator("window", "batch_mb", "max_columns", "stream_backlog_mb", "threads", mode="before")
    @classmethod
    def _no_boolean(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("must be a number")  # noqa: TRY004  (pydantic collects ValueErrors)
        return value

    @property
    def reserve_bytes(self) -> int | None:
        """Return how many bytes of the disk ingest leaves free; None for what the store takes by itself."""
        return None if self.disk_reserve_mb < 0 else self.disk_reserve_mb << 20

    @property
    def worker_threads(self) -> int:
        """Return the number of worker threads, with 0 resolved to the machine's cores."""
        return self.threads or os.cpu_count() or 1


@dataclass(frozen=True)
class Setting:
    """One setting's value and where it came from."""

    name: str
    value: Any
    origin: str
    description: str


def _layers(
    workspace: Path | None, environ: Mapping[str, str], arguments: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Return the layers above the defaults, lowest first, each with its name."""
    layers: list[tuple[str, dict[str, Any]]] = []
    file = workspace / FILE if workspace else None
    if file and file.exists():
        try:
            layers.append((FILE, tomllib.loads(file.read_text(encoding="utf-8"))))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"not valid TOML: {error}.", where=str(file)) from error
    env = {k.removeprefix(PREFIX).lower(): v for k, v in environ.items() if k.startswith(PREFIX)}
    layers.append(("environment", env))
    layers.append(("argument", {k: v for k, v in arguments.items() if v is not None}))
    for origin, layer in layers:
        for key in layer:
            if key not in Settings.model_fields:
                where = str(file) if origin == FILE else origin
                shown = f"{PREFIX}{key.upper()}" if origin == "environment" else key
                raise ConfigError(
                    f"unknown setting {shown!r}.", where=where, fix=did_you_mean(key, Settings.model_fields)
                )
    return layers


def load_settings(
    workspace: Path | None = None, *, environ: Mapping[str, str] | None = None, **arguments: Any
) -> Settings:
    """Merge all layers and validate the result.

    Args:
        workspace: Directory whose ``workbench.toml`` is read, if there is one.
        environ: Environment to read ``WORKBENCH_…`` from; the process's own by default.
        arguments: Values that win over everything; ``None`` means not given.

    Raises:
        ConfigError: For an unknown key (with a suggestion) or a value that does not fit.

    >>> load_settings(environ={"WORKBENCH_BATCH_MB": "64"}).batch_mb
    64
    """
    merged: dict[str, Any] = {}
    origin_of: dict[str, str] = {}
    for origin, layer in _layers(workspace, os.environ if environ is None else environ, arguments):
        merged.update(layer)
        origin_of.update(dict.fromkeys(layer, origin))
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = str(first["loc"][0])
        shown = "does not fit" if name in _NOT_SHOWN else f"is {merged.get(name)!r}"
        raise ConfigError(
            f"{name} {shown}: {first['msg'].removeprefix('Value error, ')}.",
            where=origin_of.get(name, "settings"),
        ) from error


def origins(
    workspace: Path | None = None, *, environ: Mapping[str, str] | None = None, **arguments: Any
) -> list[Setting]:
    """Return every setting with its value and the layer that it came from, for ``workbench config``."""
    settings = load_settings(workspace, environ=environ, **arguments)
    origin_of: dict[str, str] = {}
    for origin, layer in _layers(workspace, os.environ if environ is None else environ, arguments):
        origin_of.update(dict.fromkeys(layer, origin))
    return [
        Setting(name, getattr(settings, name), origin_of.get(name, "default"), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
