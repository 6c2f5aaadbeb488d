"""Settings from the environment. The token never shows in a repr."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .network import is_loopback
from .setting_values import (
    DEFAULT_TOOLSETS,
    JournalPolicy,
    LogLevel,
    SettingsError,
    Toolset,
    api_url,
    creative_units,
    flag,
    folder,
    folders,
    hosts,
    is_given,
    journal_policy,
    log_level,
    megabytes,
    normal_api_url,
    seconds,
    text,
    token,
    toolsets_of,
)

__all__ = ["DEFAULT_API_URL", "Settings", "SettingsError", "normal_api_url", "refuse_paid_sandbox"]

DEFAULT_API_URL = "https://api.app.layer.ai/api"


def _setting(
    *names: str, default: Any, parse: Callable[[str, str], Any], help: str, secret: bool = False
) -> Any:
    """A field of Settings: its names in the environment, and how its text is read."""
    metadata = {"names": names, "help": help, "parse": parse}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Everything that the environment can set; one field a setting."""

    api_token: str | None = _setting(
        "LAYER_API_KEY",
        "LAYER_API_TOKEN",
        "LAYER_TOKEN",
        default=None,
        parse=token,
        help="Personal Access Token from app.layer.ai > Settings. Default: the one that "
        "`layer-mcp login` stored.",
        secret=True,
    )
    workspace: str | None = _setting(
        "LAYER_WORKSPACE_ID",
        "LAYER_WORKSPACE",
        default=None,
        parse=text,
        help="Workspace: id, slug or name. Not needed when the account has one.",
    )
    api_url: str = _setting(
        "LAYER_API_URL",
        default=DEFAULT_API_URL,
        parse=api_url,
        help="Address of the API, with or without `/v1`.",
    )
    sandbox: bool = _setting(
        "LAYER_SANDBOX",
        default=False,
        parse=flag,
        help="`1` uses a simulated Layer: no account, no charge.",
    )
    toolsets: tuple[Toolset, ...] = _setting(
        "LAYER_TOOLSETS",
        default=DEFAULT_TOOLSETS,
        parse=toolsets_of,
        help="Groups of tools: generate, models, files, workflows; or all.",
    )
    confirm_above: float = _setting(
        "LAYER_CONFIRM_ABOVE",
        default=20,
        parse=creative_units,
        help="A call that costs more Creative Units (CU) than this needs a person's yes.",
    )
    max_price: float | None = _setting(
        "LAYER_MAX_PRICE",
        default=None,
        parse=creative_units,
        help="The most CU that one run may cost. No agent can raise it.",
    )
    max_spend_per_day: float | None = _setting(
        "LAYER_MAX_SPEND_PER_DAY",
        default=None,
        parse=creative_units,
        help="The most CU that all runs of the last 24 hours may cost. No agent can raise it.",
    )
    journal: JournalPolicy = _setting(
        "LAYER_JOURNAL",
        default="required",
        parse=journal_policy,
        help="`optional` starts runs also when they cannot be written down; `required` refuses.",
    )
    output_dir: str | None = _setting(
        "LAYER_OUTPUT_DIR",
        default=None,
        parse=folder,
        help="Folder for outputs. When set, finished runs are saved there by themselves; else "
        "`save_outputs` saves to `~/Layer`.",
    )
    input_dirs: tuple[str, ...] = _setting(
        "LAYER_INPUT_DIRS",
        default=(),
        parse=folders,
        help="Folders whose files may be uploaded beside those of the output folder, separated as "
        "in PATH. Default: the current folder, unless it is `/`.",
    )
    max_upload_mb: int = _setting(
        "LAYER_MAX_UPLOAD_MB",
        default=64,
        parse=megabytes,
        help="Largest file to upload, in MB of 1,048,576 bytes.",
    )
    max_download_mb: int = _setting(
        "LAYER_MAX_DOWNLOAD_MB",
        default=1024,
        parse=megabytes,
        help="Largest output to save, in MB.",
    )
    media_hosts: tuple[str, ...] = _setting(
        "LAYER_MEDIA_HOSTS",
        default=(),
        parse=hosts,
        help="More hosts that outputs may come from, separated by commas.",
    )
    preview: bool = _setting(
        "LAYER_PREVIEW",
        default=True,
        parse=flag,
        help="`0` leaves the small picture out of the answers.",
    )
    state_dir: str | None = _setting(
        "LAYER_STATE_DIR",
        default=None,
        parse=folder,
        help="Folder for what is kept between runs. Default: the system's own place.",
    )
    max_wait_seconds: int = _setting(
        "LAYER_MAX_WAIT_SECONDS",
        default=45,
        parse=seconds,
        help="Longest wait of one call, 0 to 3600.",
    )
    log_level: LogLevel = _setting(
        "LAYER_LOG_LEVEL",
        default="WARNING",
        parse=log_level,
        help="DEBUG, INFO, WARNING, ERROR or CRITICAL; logs go to stderr.",
    )
    trace_prompts: bool = _setting(
        "LAYER_TRACE_PROMPTS",
        default=False,
        parse=flag,
        help="`1` writes prompts into the spans of OpenTelemetry; else they are left out.",
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an empty value, `null` or an unsubstituted `${...}` means unset.

        Raises:
            SettingsError: a value that cannot be used.
        """
        values: dict[str, Any] = {}
        for setting in fields(cls):
            names: tuple[str, ...] = setting.metadata["names"]
            given = _first(environ, names)
            if given is not None:
                values[setting.name] = setting.metadata["parse"](_any_of(names), given)
        return cls(**values)


def refuse_paid_sandbox(settings: Settings) -> None:
    """Make sure that who wants the sandbox gets one.

    Raises:
        SettingsError: the sandbox is wanted, but the address is not one; a run would be paid.
    """
    if settings.sandbox and not is_loopback(settings.api_url):
        raise SettingsError(
            "LAYER_SANDBOX needs a sandbox: start layer-mcp sandbox and set what it prints."
        )


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = environ.get(name, "")
        if is_given(value):
            return value.strip()
    return None


def _any_of(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
