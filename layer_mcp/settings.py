"""Settings from the environment: what there is, and how the text of each becomes its value.

A parser gets the name and the text of a setting, and raises SettingsError if it can't use the text.
The token never shows in a repr.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from .network import is_loopback
from .tokens import fits_header, tidy_token

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
JournalPolicy = Literal["required", "optional"]
Toolset = Literal["generate", "models", "files", "workflows"]

DEFAULT_API_URL = "https://api.app.layer.ai/api"
TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)
DEFAULT_TOOLSETS: tuple[Toolset, ...] = ("generate", "models", "files")
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off")
UNSET_WORDS = ("", "null", "undefined")
MAX_FILE_MB = 100_000
MAX_CREATIVE_UNITS = 1_000_000_000
HOST_HOME = re.compile(r"\$\{HOME\}(?=[/\\])")
HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it and what it must be."""


def is_given(value: str) -> bool:
    """Return whether a value is set: Claude Desktop leaves `${...}` where it has none."""
    stripped = value.strip()
    is_placeholder = stripped.startswith("${") and stripped.endswith("}")
    return stripped not in UNSET_WORDS and not is_placeholder


def normal_api_url(value: str) -> str:
    """Return the API's URL without `/v1` and slashes at its end.

    Raises:
        SettingsError: not an https URL, or http to another machine.
    """
    url = value.rstrip("/").removesuffix("/v1").rstrip("/")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError("LAYER_API_URL must be plain ASCII without spaces.")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("LAYER_API_URL is not an address.") from None
    if not host or parts.query or parts.fragment or parts.username or parts.password:
        raise SettingsError("LAYER_API_URL must be an https address without user name or query.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise SettingsError("LAYER_API_URL must start with https:// (http only for this machine).")
    return url


def parse_text(_name: str, value: str) -> str:
    """Accept any text."""
    return value


def parse_token(name: str, value: str) -> str:
    """Accept one word that fits into a header, and remove what was pasted with it.

    A token of another service isn't refused here: without one, the server starts too.
    """
    token = tidy_token(value)
    if not token or not fits_header(token):
        raise SettingsError(f"{name} must be one word of plain characters.")
    return token


def parse_api_url(_name: str, value: str) -> str:
    """Accept the API's URL."""
    return normal_api_url(value)


def parse_toolsets(name: str, value: str) -> tuple[Toolset, ...]:
    """Return the toolsets in a list of names, in the order of their declaration."""
    wanted: set[str] = set()
    for word in value.replace(",", " ").lower().split():
        if word == "all":
            wanted.update(TOOLSETS)
        elif word == "default":
            wanted.update(DEFAULT_TOOLSETS)
        elif word in TOOLSETS:
            wanted.add(word)
        else:
            groups = ", ".join((*TOOLSETS, "default"))
            raise SettingsError(f"{name} may name {groups} or all, separated by commas.")
    if not wanted:
        raise SettingsError(f"{name} must name at least one group of tools.")
    return tuple(group for group in TOOLSETS if group in wanted)


def parse_folder(name: str, value: str) -> str:
    """Accept the path of a folder, as written.

    Claude Desktop leaves `${HOME}` in a default value; at the start it becomes `~`.
    """
    path = f"~{value[len('${HOME}') :]}" if HOST_HOME.match(value) else value
    if "\0" in path or "${" in path:
        raise SettingsError(f"{name} must be the path of a folder.")
    return path


def parse_folders(name: str, value: str) -> tuple[str, ...]:
    """Accept several folders, separated as in PATH."""
    parts = [part.strip() for part in value.split(os.pathsep)]
    folders = tuple(parse_folder(name, part) for part in parts if part)
    if not folders:
        raise SettingsError(f"{name} must name at least one folder.")
    return folders


def parse_hosts(name: str, value: str) -> tuple[str, ...]:
    """Accept host names, separated by commas or spaces."""
    hosts = tuple(value.replace(",", " ").lower().split())
    if not all(HOST_NAME.fullmatch(host) for host in hosts):
        raise SettingsError(f"{name} must be host names, without https:// and paths.")
    return hosts


def parse_megabytes(name: str, value: str) -> int:
    """Accept a whole number of MB."""
    if value.isascii() and value.isdigit() and len(value) <= 6 and 1 <= int(value) <= MAX_FILE_MB:
        return int(value)
    raise SettingsError(f"{name} must be a whole number of MB from 1 to {MAX_FILE_MB}.")


def parse_creative_units(name: str, value: str) -> float:
    """Accept a number of Creative Units, 0 or more."""
    try:
        amount = float(value)
    except ValueError:
        amount = math.nan
    if not 0 <= amount <= MAX_CREATIVE_UNITS:
        raise SettingsError(
            f"{name} must be a number of Creative Units from 0 to {MAX_CREATIVE_UNITS:,}."
        )
    return amount


def parse_flag(name: str, value: str) -> bool:
    """Accept 1 or 0, or a word for one of them."""
    if value.lower() in TRUE_WORDS:
        return True
    if value.lower() in FALSE_WORDS:
        return False
    raise SettingsError(f"{name} must be 1 or 0.")


def parse_seconds(name: str, value: str) -> int:
    """Accept a whole number of seconds, at most an hour."""
    if value.isascii() and value.isdigit() and len(value) <= 4 and int(value) <= 3600:
        return int(value)
    raise SettingsError(f"{name} must be a whole number of seconds from 0 to 3600.")


def parse_journal_policy(name: str, value: str) -> JournalPolicy:
    """Accept whether runs may be started without a journal."""
    for policy in get_args(JournalPolicy):
        if value.lower() == policy:
            return policy
    raise SettingsError(f"{name} must be one of {', '.join(get_args(JournalPolicy))}.")


def parse_log_level(name: str, value: str) -> LogLevel:
    """Accept the name of a log level."""
    for level in get_args(LogLevel):
        if value.upper() == level:
            return level
    raise SettingsError(f"{name} must be one of {', '.join(get_args(LogLevel))}.")


def _setting(
    *names: str, default: Any, parse: Callable[[str, str], Any], help: str, secret: bool = False
) -> Any:
    """Declare a field of Settings: its names in the environment, and its parser."""
    metadata = {"names": names, "help": help, "parse": parse}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Everything that the environment can set, with one field for each setting."""

    api_token: str | None = _setting(
        "LAYER_API_KEY",
        "LAYER_API_TOKEN",
        "LAYER_TOKEN",
        default=None,
        parse=parse_token,
        help="Personal Access Token from app.layer.ai > Settings. Default: the one that "
        "`layer-mcp login` stored.",
        secret=True,
    )
    workspace: str | None = _setting(
        "LAYER_WORKSPACE_ID",
        "LAYER_WORKSPACE",
        default=None,
        parse=parse_text,
        help="Workspace ID, slug, or name. Not needed if the account has only one.",
    )
    api_url: str = _setting(
        "LAYER_API_URL",
        default=DEFAULT_API_URL,
        parse=parse_api_url,
        help="URL of the API, with or without `/v1`.",
    )
    sandbox: bool = _setting(
        "LAYER_SANDBOX",
        default=False,
        parse=parse_flag,
        help="`1` uses a simulated Layer: no account, no charges.",
    )
    toolsets: tuple[Toolset, ...] = _setting(
        "LAYER_TOOLSETS",
        default=DEFAULT_TOOLSETS,
        parse=parse_toolsets,
        help="Groups of tools: generate, models, files, workflows, or all.",
    )
    confirm_above: float = _setting(
        "LAYER_CONFIRM_ABOVE",
        default=20,
        parse=parse_creative_units,
        help="Calls that cost more Creative Units (CU) than this need your approval.",
    )
    max_price: float | None = _setting(
        "LAYER_MAX_PRICE",
        default=None,
        parse=parse_creative_units,
        help="Maximum price of one run in CU. Agents can't raise it.",
    )
    max_spend_per_day: float | None = _setting(
        "LAYER_MAX_SPEND_PER_DAY",
        default=None,
        parse=parse_creative_units,
        help="Maximum price of all runs in the last 24 hours in CU. Agents can't raise it.",
    )
    journal: JournalPolicy = _setting(
        "LAYER_JOURNAL",
        default="required",
        parse=parse_journal_policy,
        help="`optional` starts runs even if they can't be recorded; `required` rejects them.",
    )
    output_dir: str | None = _setting(
        "LAYER_OUTPUT_DIR",
        default=None,
        parse=parse_folder,
        help="Folder for outputs. If set, finished runs are saved there automatically; otherwise "
        "`save_outputs` saves to `~/Layer`.",
    )
    input_dirs: tuple[str, ...] = _setting(
        "LAYER_INPUT_DIRS",
        default=(),
        parse=parse_folders,
        help="Folders whose files can be uploaded, in addition to the output folder, separated as "
        "in PATH. Default: the current folder, unless it's `/`.",
    )
    max_upload_mb: int = _setting(
        "LAYER_MAX_UPLOAD_MB",
        default=64,
        parse=parse_megabytes,
        help="Maximum size of an uploaded file, in MB of 1,048,576 bytes.",
    )
    max_download_mb: int = _setting(
        "LAYER_MAX_DOWNLOAD_MB",
        default=1024,
        parse=parse_megabytes,
        help="Maximum size of a saved output, in MB.",
    )
    media_hosts: tuple[str, ...] = _setting(
        "LAYER_MEDIA_HOSTS",
        default=(),
        parse=parse_hosts,
        help="Additional hosts that outputs can come from, separated by commas.",
    )
    preview: bool = _setting(
        "LAYER_PREVIEW",
        default=True,
        parse=parse_flag,
        help="`0` omits the small preview image from answers.",
    )
    state_dir: str | None = _setting(
        "LAYER_STATE_DIR",
        default=None,
        parse=parse_folder,
        help="Folder for data kept between sessions. Default: the system's standard location.",
    )
    max_wait_seconds: int = _setting(
        "LAYER_MAX_WAIT_SECONDS",
        default=45,
        parse=parse_seconds,
        help="Maximum wait of one call in seconds, from 0 to 3600.",
    )
    log_level: LogLevel = _setting(
        "LAYER_LOG_LEVEL",
        default="WARNING",
        parse=parse_log_level,
        help="DEBUG, INFO, WARNING, ERROR, or CRITICAL. Logs go to stderr.",
    )
    trace_prompts: bool = _setting(
        "LAYER_TRACE_PROMPTS",
        default=False,
        parse=parse_flag,
        help="`1` includes prompts in OpenTelemetry spans. By default, they're left out.",
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
            given = next((environ[name] for name in names if is_given(environ.get(name, ""))), None)
            if given is not None:
                parse = setting.metadata["parse"]
                values[setting.name] = parse(_join_names(names), given.strip())
        return cls(**values)


def refuse_paid_sandbox(settings: Settings) -> None:
    """Make sure that a wanted sandbox is one, so that no run is paid by mistake.

    Raises:
        SettingsError: the sandbox is wanted, but the URL is not that of a sandbox.
    """
    if settings.sandbox and not is_loopback(settings.api_url):
        raise SettingsError(
            "LAYER_SANDBOX needs a sandbox: start layer-mcp sandbox and set what it prints."
        )


def _join_names(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
