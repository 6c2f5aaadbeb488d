"""Settings from the environment, and the parser of each one.

A parser gets the name and the text of a setting, and raises SettingsError if the text is invalid.
Nobody expands variables in a client's configuration, so a path is expanded or rejected here. The
token never shows in a repr.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

from .network import is_loopback
from .text.file_urls import is_file_url, path_of_file_url
from .tokens import fits_header, tidy_token

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
JournalPolicy = Literal["required", "optional"]
Toolset = Literal["generate", "models", "files", "workflows"]

DEFAULT_API_URL = "https://api.app.layer.ai/api"
# Layer's website, what its official command line uses, and the API's host. None has the REST API.
OTHER_LAYER_URLS = (
    "https://app.layer.ai",
    "https://app.layer.ai/backend",
    "https://api.app.layer.ai",
)
TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)
DEFAULT_TOOLSETS: tuple[Toolset, ...] = ("generate", "models", "files")
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off")
UNSET_WORDS = ("", "null", "undefined")
MAX_FILE_MB = 100_000
MAX_CREATIVE_UNITS = 1_000_000_000
PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")
# As shells and clients write it: $HOME, ${HOME}, ${env:HOME}, ${userHome}, %USERPROFILE%.
HOME_VARIABLE = re.compile(
    r"(?:\$\{(?:(?:env:)?(?:HOME|USERPROFILE)|userHome)\}|\$(?:env:)?(?:HOME|USERPROFILE)"
    r"|%(?:HOME|USERPROFILE|HOMEDRIVE%%HOMEPATH)%)(?=[/\\]|$)",
    re.IGNORECASE,
)
VARIABLE = re.compile(r"\$\{|\$\w|%\w+%")
WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
DATABASE_SCHEMES = ("postgresql", "postgres")
DATABASE_HOST_PARAMETER = re.compile(r"[?&](?:host|hostaddr)=[^&]")
HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class SettingsError(ValueError):
    """An invalid setting; the message names it and says what it must be."""


def is_given(value: str) -> bool:
    """Return whether a value is set: Claude Desktop leaves `${...}` where it has none."""
    tidy = tidy_value(value)
    return tidy not in UNSET_WORDS and not PLACEHOLDER.fullmatch(tidy)


def tidy_value(value: str) -> str:
    """Return a value without spaces and one pair of quotes around it.

    A shell removes quotes; a client's configuration and a file of variables keep them.
    """
    value = value.strip()
    quote = value[:1]
    is_quoted = len(value) > 1 and quote in "\"'" and value.endswith(quote)
    return value[1:-1].strip() if is_quoted and quote not in value[1:-1] else value


def normal_api_url(value: str) -> str:
    """Return the API's URL without `/v1` and slashes at its end.

    Other addresses of Layer, such as the one that its official command line uses, mean the API's.

    Raises:
        SettingsError: The text isn't an https URL, or is an http URL of another machine.
    """
    url = value.rstrip("/").removesuffix("/v1").rstrip("/")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError("LAYER_API_URL must be plain ASCII without spaces.")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(f"LAYER_API_URL must be a URL, such as {DEFAULT_API_URL}.") from None
    if not host or parts.query or parts.fragment or parts.username or parts.password:
        raise SettingsError("LAYER_API_URL must be an https URL without a user name or query.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise SettingsError("LAYER_API_URL must start with https:// (http only for this machine).")
    return DEFAULT_API_URL if url.lower() in OTHER_LAYER_URLS else url


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
            raise SettingsError(f"{name} can name {groups}, or all, separated by commas.")
    if not wanted:
        raise SettingsError(f"{name} must name at least one group of tools.")
    return tuple(group for group in TOOLSETS if group in wanted)


def parse_folder(name: str, value: str) -> str:
    """Accept the path of a folder, or its file URL; the user's home folder becomes `~`."""
    path = tidy_value(value)
    if is_file_url(path):
        path = _parse_file_url(name, path)
    path = HOME_VARIABLE.sub("~", path, count=1) if HOME_VARIABLE.match(path) else path
    if "\0" in path:
        raise SettingsError(f"{name} must be the path of a folder.")
    if VARIABLE.search(path):
        raise SettingsError(
            f"{name} has a variable that isn't expanded here. Use the full path, or start it "
            "with ~ for your home folder."
        )
    if os.name != "nt" and WINDOWS_DRIVE.match(path):
        raise SettingsError(f"{name} has a Windows path, but this isn't Windows.")
    return path


def parse_state_folder(name: str, value: str) -> str:
    """Accept an absolute path: servers that start in different folders must share a journal."""
    path = parse_folder(name, value)
    if path.startswith("~") or os.path.isabs(path):
        return path
    raise SettingsError(f"{name} must be a full path. It can start with ~ for your home folder.")


def parse_folders(name: str, value: str) -> tuple[str, ...]:
    """Accept several folders, separated as in PATH; the colon of a file URL separates nothing."""
    parts = re.findall(rf"\s*['\"]?(?:file:)?[^{os.pathsep}]*", value, re.IGNORECASE)
    folders = tuple(parse_folder(name, part) for part in parts if part.strip())
    if not folders:
        raise SettingsError(f"{name} must name at least one folder.")
    return folders


def _parse_file_url(name: str, url: str) -> str:
    try:
        path = path_of_file_url(url)
    except ValueError:
        path = None
    if not path:
        raise SettingsError(f"{name} must be the path of a folder on this machine.")
    return path


def parse_hosts(name: str, value: str) -> tuple[str, ...]:
    """Accept host names, separated by commas or spaces."""
    hosts = tuple(value.replace(",", " ").lower().split())
    if not all(HOST_NAME.fullmatch(host) for host in hosts):
        raise SettingsError(f"{name} must be host names, without https:// and paths.")
    return hosts


def parse_database_url(name: str, value: str) -> str:
    """Accept the URL of a PostgreSQL database; it may have a password, so it's never quoted.

    The host may be a parameter, as for a socket. Any other parameter is checked by the driver.
    """
    scheme, separator, rest = value.partition("://")
    if scheme.lower() not in DATABASE_SCHEMES or not separator:
        raise SettingsError(f"{name} must start with postgresql://.")
    if not value.isprintable() or " " in value:
        raise SettingsError(f"{name} must not have spaces; write them as %20.")
    hosts = re.split("[/?]", rest, maxsplit=1)[0].rpartition("@")[2]
    if not hosts and not DATABASE_HOST_PARAMETER.search(rest):
        raise SettingsError(
            f"{name} must name a host, such as postgresql://user:password@host/database."
        )
    return value


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


def declare_setting(
    *names: str, default: Any, parse: Callable[[str, str], Any], help: str, secret: bool = False
) -> Any:
    """Declare a field of a dataclass of settings: its names in the environment, and its parser."""
    metadata = {"names": names, "help": help, "parse": parse}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Everything that the environment can set, with one field for each setting."""

    api_token: str | None = declare_setting(
        "LAYER_API_KEY",
        "LAYER_API_TOKEN",
        "LAYER_TOKEN",
        default=None,
        parse=parse_token,
        help="Personal Access Token from app.layer.ai > Settings. Default: the one that "
        "`layer-mcp login` stored.",
        secret=True,
    )
    workspace: str | None = declare_setting(
        "LAYER_WORKSPACE_ID",
        "LAYER_WORKSPACE",
        default=None,
        parse=parse_text,
        help="Workspace ID, slug, or name. Not needed if the account has only one.",
    )
    api_url: str = declare_setting(
        "LAYER_API_URL",
        default=DEFAULT_API_URL,
        parse=parse_api_url,
        help="URL of the API, with or without `/v1`.",
    )
    sandbox: bool = declare_setting(
        "LAYER_SANDBOX",
        default=False,
        parse=parse_flag,
        help="`1` uses a simulated Layer: no account, no charges.",
    )
    model: str | None = declare_setting(
        "LAYER_MODEL",
        default=None,
        parse=parse_text,
        help="Name or ID of the model that `layer-mcp generate` and `price` use without `--model`.",
    )
    toolsets: tuple[Toolset, ...] = declare_setting(
        "LAYER_TOOLSETS",
        default=DEFAULT_TOOLSETS,
        parse=parse_toolsets,
        help="Groups of tools: generate, models, files, workflows, or all.",
    )
    confirm_above: float = declare_setting(
        "LAYER_CONFIRM_ABOVE",
        default=20,
        parse=parse_creative_units,
        help="Calls that cost more Creative Units (CU) than this need your approval.",
    )
    max_price: float | None = declare_setting(
        "LAYER_MAX_PRICE",
        default=None,
        parse=parse_creative_units,
        help="Maximum price of one run in CU. Agents can't raise it.",
    )
    max_spend_per_day: float | None = declare_setting(
        "LAYER_MAX_SPEND_PER_DAY",
        default=None,
        parse=parse_creative_units,
        help="Maximum price of all runs in the last 24 hours in CU. Agents can't raise it.",
    )
    journal: JournalPolicy = declare_setting(
        "LAYER_JOURNAL",
        default="required",
        parse=parse_journal_policy,
        help="`optional` starts runs even if they can't be recorded; `required` rejects them.",
    )
    database_url: str | None = declare_setting(
        "LAYER_DATABASE_URL",
        default=None,
        parse=parse_database_url,
        help="URL of a PostgreSQL database for the journal, so that several servers share it: "
        "`postgresql://user:password@host/database`. Needs `layer-mcp[postgres]`. Default: a file "
        "in `LAYER_STATE_DIR`.",
        secret=True,
    )
    output_dir: str | None = declare_setting(
        "LAYER_OUTPUT_DIR",
        default=None,
        parse=parse_folder,
        help="Folder for outputs. If set, finished runs are saved there automatically; otherwise "
        "`save_outputs` saves to `~/Layer`.",
    )
    input_dirs: tuple[str, ...] = declare_setting(
        "LAYER_INPUT_DIRS",
        default=(),
        parse=parse_folders,
        help="Folders whose files can be uploaded, in addition to the output folder, separated as "
        "in PATH. Default: the current folder, unless it's `/`.",
    )
    max_upload_mb: int = declare_setting(
        "LAYER_MAX_UPLOAD_MB",
        default=64,
        parse=parse_megabytes,
        help="Maximum size of an uploaded file, in MB of 1,048,576 bytes.",
    )
    max_download_mb: int = declare_setting(
        "LAYER_MAX_DOWNLOAD_MB",
        default=1024,
        parse=parse_megabytes,
        help="Maximum size of a saved output, in MB.",
    )
    media_hosts: tuple[str, ...] = declare_setting(
        "LAYER_MEDIA_HOSTS",
        default=(),
        parse=parse_hosts,
        help="Additional hosts that outputs can come from, separated by commas.",
    )
    preview: bool = declare_setting(
        "LAYER_PREVIEW",
        default=True,
        parse=parse_flag,
        help="`0` omits the small preview image from answers.",
    )
    state_dir: str | None = declare_setting(
        "LAYER_STATE_DIR",
        default=None,
        parse=parse_state_folder,
        help="Folder for data kept between sessions: a full path. Default: the system's standard "
        "location.",
    )
    max_wait_seconds: int = declare_setting(
        "LAYER_MAX_WAIT_SECONDS",
        default=45,
        parse=parse_seconds,
        help="Maximum wait of one call in seconds, from 0 to 3600.",
    )
    log_level: LogLevel = declare_setting(
        "LAYER_LOG_LEVEL",
        default="WARNING",
        parse=parse_log_level,
        help="DEBUG, INFO, WARNING, ERROR, or CRITICAL. Logs go to stderr.",
    )
    trace_prompts: bool = declare_setting(
        "LAYER_TRACE_PROMPTS",
        default=False,
        parse=parse_flag,
        help="`1` includes prompts in OpenTelemetry spans. By default, they're left out.",
    )
    uses_disk: ClassVar[bool] = True
    """Whether callers may read and write files of this machine."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an empty value, `null`, or an unsubstituted `${...}` means unset.

        Raises:
            SettingsError: A value is invalid.
        """
        return cls(**read_settings(cls, environ))


class SettingsWithoutDisk(Settings):
    """The settings of a server whose callers must not read or write its files."""

    uses_disk: ClassVar[bool] = False

    @classmethod
    def of(cls, settings: Settings) -> "SettingsWithoutDisk":
        """Return the same settings, without the folders that callers use."""
        values: dict[str, Any] = {one.name: getattr(settings, one.name) for one in fields(settings)}
        values |= {"output_dir": None, "input_dirs": ()}
        return cls(**values)


def read_settings(declared: type[Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the given settings of a dataclass by field name.

    Raises:
        SettingsError: A value is invalid.
    """
    values: dict[str, Any] = {}
    for setting in fields(declared):
        names: tuple[str, ...] = setting.metadata.get("names", ())
        given = next((environ[name] for name in names if is_given(environ.get(name, ""))), None)
        if given is not None:
            parse = setting.metadata["parse"]
            values[setting.name] = parse(_join_names(names), tidy_value(given))
    return values


def refuse_paid_sandbox(settings: Settings) -> None:
    """Reject a sandbox whose URL is Layer's own, so that no run is paid for by mistake.

    Raises:
        SettingsError: LAYER_SANDBOX is set, but the URL isn't a sandbox's.
    """
    if settings.sandbox and not is_loopback(settings.api_url):
        raise SettingsError(
            "LAYER_SANDBOX is set, but LAYER_API_URL isn't a sandbox's. Start layer-mcp sandbox, "
            "and set the variables that it prints."
        )


def _join_names(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
