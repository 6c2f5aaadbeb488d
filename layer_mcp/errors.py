"""`LayerError`, and the table of every error code.

Agents, terminal commands, and the documentation share this table. Layer may return codes that
aren't in it; they are passed on unchanged. A test fails if the package uses a code without a row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from .text.plain_text import one_line

SENTENCE_LENGTH = 300

Source = Literal[
    "call", "price", "journal", "file", "network", "layer", "output", "run", "terminal", "server"
]

SOURCES: dict[Source, str] = {
    "call": "Invalid calls",
    "price": "Price and approval",
    "journal": "Starting a paid run",
    "file": "Local files",
    "network": "Connecting to Layer",
    "layer": "Errors from Layer",
    "output": "Downloading and saving outputs",
    "run": "Failed runs",
    "terminal": "Terminal commands",
    "server": "Server errors",
}

CODE_BY_STATUS = {
    400: "INVALID_INPUTS",
    401: "UNAUTHENTICATED",
    402: "INSUFFICIENT_BALANCE",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    408: "TIMEOUT",
    422: "INVALID_INPUTS",
    429: "RATE_LIMITED",
    503: "SERVICE_UNAVAILABLE",
}


@dataclass(frozen=True)
class Argument:
    """The name of an argument in a message; terminal commands replace it with their option."""

    name: str


MessagePart = str | Argument


class LayerError(Exception):
    """A failed call: a stable `code`, one sentence, and one next step.

    The class is the subclass that the code belongs to, as with `OSError`. Pass the sentence as
    text, or in parts if it names arguments. `inference_id` (`run_id` for a workflow) is set
    whenever the run is known, so that a paid run is never lost. `transient` means that the same
    read may succeed later. `facts` is plain JSON for programs. `person_step` replaces the table's
    next step in a terminal.
    """

    def __new__(cls, *given: Any, **named: Any) -> Self:
        """Choose the class of the code, unless a class was chosen."""
        chosen = class_of(given[0] if given else named["code"])
        return super().__new__(chosen if issubclass(chosen, cls) else cls)

    def __init__(
        self,
        code: str,
        message: str | Sequence[MessagePart],
        *,
        next_step: str | None = None,
        person_step: str | None = None,
        inference_id: str | None = None,
        run_id: str | None = None,
        transient: bool = False,
        retry_after_seconds: float | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.code = code
        self.parts = (message,) if isinstance(message, str) else tuple(message)
        # What is given to it, so that an error can be copied and sent to another process.
        super().__init__(code, message)
        self.next_step = next_step or next_step_for(code)
        self.person_step = person_step
        self.inference_id = inference_id
        self.run_id = run_id
        self.transient = transient
        self.retry_after_seconds = retry_after_seconds
        self.facts = facts or {}

    @property
    def message(self) -> str:
        """Return the sentence for agents and programs."""
        return join_parts(self.parts)

    def describe(self, name_of: Callable[[str], str]) -> str:
        """Return the sentence with each argument named as the caller knows it."""
        return join_parts(self.parts, name_of)

    def as_json(self) -> dict[str, Any]:
        """Return the error as the JSON that tools and commands print."""
        ids = {"inference_id": self.inference_id, "run_id": self.run_id}
        return {
            "error": {"code": self.code, "message": self.message},
            **self.facts,
            **{name: run_id for name, run_id in ids.items() if run_id},
            "next_step": self.next_step,
        }

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.next_step}"


class InvalidRequestError(LayerError):
    """The call can't succeed as it is: change its arguments, inputs or prompt."""


class NotFoundError(LayerError):
    """There is no such model, workflow, run, workspace or file: check the ID or the path."""


class AuthenticationError(LayerError):
    """The token is missing or was rejected: log in, or set another one."""


class PermissionDeniedError(LayerError):
    """The token or the workspace doesn't allow this: ask the workspace's owner, or use another."""


class PriceError(LayerError):
    """The price, a spending limit or the balance prevents the run: nothing was sent."""


class RateLimitError(LayerError):
    """A limit on simultaneous or recent requests is reached: wait, then call again."""


class SubmissionError(LayerError):
    """The run wasn't sent, because the journal or this process prevented it: call again."""


class OutcomeUnknownError(SubmissionError):
    """The run was sent, or is being sent: look for it before you start another one."""


class ServiceError(LayerError):
    """The connection or Layer failed: call again later."""


class FileError(LayerError):
    """A file can't be read, uploaded, downloaded or saved."""


def join_parts(parts: Sequence[MessagePart], name_of: Callable[[str], str] = str) -> str:
    """Join a message, naming each argument as the caller knows it."""
    return "".join(part if isinstance(part, str) else name_of(part.name) for part in parts)


def next_step_for(code: str, status: int | None = None) -> str:
    """Return the next step for a code; unknown codes get a generic one based on the status."""
    return ERROR_CODES[_known_code(code, status)].next_step


def class_of(code: str, status: int | None = None) -> type[LayerError]:
    """Return the class of a code; unknown codes get a generic one based on the status."""
    code = _known_code(code, status)
    if code.endswith("NOT_FOUND"):
        return NotFoundError
    return CLASS_OF_CODE.get(code) or CLASS_OF_SOURCE[ERROR_CODES[code].source]


def _known_code(code: str, status: int | None) -> str:
    """Return a code that has a row: the code itself, or that of its family."""
    if code in ERROR_CODES:
        return code
    if code.endswith("_NOT_FOUND"):
        return "NOT_FOUND"
    if status in CODE_BY_STATUS:
        return CODE_BY_STATUS[status]
    return "SERVER_ERROR" if (status or 0) >= 500 else "REQUEST_REFUSED"


def next_step_for_person(code: str, facts: Mapping[str, Any] | None = None) -> str | None:
    """Return the next step for a terminal, or None if it's the same as for an agent.

    `facts` are the error's facts, which the step may mention.
    """
    step = ERROR_CODES[code].person_step if code in ERROR_CODES else None
    return step.format(**(facts or {})) if step else step


def next_step_for_run(code: str) -> str:
    """Return the next step for a run that failed with this code."""
    row = ERROR_CODES.get(code)
    if row is None or "run" not in (row.source, *row.also):
        return OTHER_RUN_NEXT_STEP
    return row.next_step


def one_sentence(text: str) -> str:
    """Return text from Layer as a single line of limited length that ends in a period."""
    line = one_line(text, SENTENCE_LENGTH)
    return line if line.endswith((".", "!", "?")) or not line else line + "."


@dataclass(frozen=True)
class ErrorCode:
    """A row of the table: where a code comes from, what it means, and what to do next.

    `person_step` replaces `next_step` in a terminal, and "" omits it. It may contain the error's
    facts in braces. `also` lists additional sources, and `status` the HTTP statuses it comes with.
    """

    source: Source
    meaning: str
    next_step: str
    person_step: str | None = None
    also: tuple[Source, ...] = ()
    status: str = ""


# Each code belongs to the class of its source, but for these.
CLASS_OF_SOURCE: dict[Source, type[LayerError]] = {
    "call": InvalidRequestError,
    "price": PriceError,
    "journal": SubmissionError,
    "file": FileError,
    "network": ServiceError,
    "layer": InvalidRequestError,
    "output": FileError,
    "run": InvalidRequestError,
    "terminal": InvalidRequestError,
    "server": ServiceError,
}
CLASS_OF_CODE: dict[str, type[LayerError]] = {
    **dict.fromkeys(("MISSING_TOKEN", "UNAUTHENTICATED"), AuthenticationError),
    **dict.fromkeys(
        ("INSUFFICIENT_SCOPE", "FORBIDDEN", "FEATURE_DISABLED", "USAGE_LIMIT_EXCEEDED"),
        PermissionDeniedError,
    ),
    **dict.fromkeys(
        ("RATE_LIMITED", "RUNS_AT_LIMIT", "GENERATIONS_AT_LIMIT", "TOO_BUSY"), RateLimitError
    ),
    **dict.fromkeys(("OUTCOME_UNKNOWN", "SUBMISSION_UNDER_WAY"), OutcomeUnknownError),
    **dict.fromkeys(("SERVER_ERROR", "SERVICE_UNAVAILABLE"), ServiceError),
}


CHANGE_INPUTS = "Change the prompt or the references; the same inputs will be rejected again."
OTHER_RUN_NEXT_STEP = "Change the inputs or the model, then start a new run; it is charged."

ERROR_CODES: dict[str, ErrorCode] = {
    "MISSING_TOKEN": ErrorCode(
        "call",
        "No token is set or saved.",
        "Create a Personal Access Token at app.layer.ai > Settings > Personal Access Tokens, then "
        "run layer-mcp login, or set LAYER_API_KEY and restart the server.",
        person_step="Run layer-mcp login, or add --sandbox to try it without an account.",
    ),
    "INVALID_ARGUMENTS": ErrorCode(
        "call",
        "An argument is unknown, missing, or out of range.",
        "Correct the argument and call again; nothing was sent.",
        person_step="Correct it and try again; nothing was sent.",
    ),
    "WORKSPACE_REQUIRED": ErrorCode(
        "call",
        "The account has several workspaces, and the call doesn't name one.",
        "Pass one of them as workspace_id, or set LAYER_WORKSPACE_ID.",
        person_step="Choose one with --workspace or LAYER_WORKSPACE_ID.",
    ),
    "RUN_NOT_FOUND": ErrorCode(
        "call",
        "The journal on this machine has no run with this ID.",
        "Read layer://runs to see the runs started on this machine.",
    ),
    "OUTPUT_NOT_FOUND": ErrorCode(
        "call",
        "No run in the journal has an output with this ID.",
        "Read layer://runs to see each run's outputs.",
    ),
    "SESSION_NOT_FOUND": ErrorCode(
        "call",
        "No session with this ID can be used: it may be another caller's.",
        "Check session_id, or pass session_name instead; nothing was sent.",
    ),
    "INSUFFICIENT_SCOPE": ErrorCode(
        "call",
        "The caller's access token doesn't allow calls that start runs or change anything.",
        "Ask the server's administrator for a token with the scope layer:spend; nothing was sent.",
        person_step="",
    ),
    "PRICE_UNKNOWN": ErrorCode(
        "price",
        "Layer couldn't quote a price, so the run counts as over every limit.",
        "Call again in a minute; nothing was sent.",
        person_step="Try again in a minute.",
    ),
    "PRICE_ABOVE_MAX": ErrorCode(
        "price",
        "The price is above the call's max_price_creative_units.",
        "Request fewer or smaller outputs, or ask the user to approve a higher "
        "max_price_creative_units.",
        person_step="Request fewer or smaller outputs, or raise --max-price.",
    ),
    "PRICE_ABOVE_LIMIT": ErrorCode(
        "price",
        "The price is above LAYER_MAX_PRICE.",
        "Request fewer or smaller outputs; only the user can raise the limit, in the settings.",
        person_step="Request fewer or smaller outputs, or raise LAYER_MAX_PRICE.",
    ),
    "SPENDING_LIMIT_REACHED": ErrorCode(
        "price",
        "With this run, the last 24 hours would cost more than LAYER_MAX_SPEND_PER_DAY.",
        "Wait, or request fewer or smaller outputs; only the user can raise the limit, in the "
        "settings.",
        person_step="Wait, request fewer or smaller outputs, or raise LAYER_MAX_SPEND_PER_DAY.",
    ),
    "CONFIRMATION_REQUIRED": ErrorCode(
        "price",
        "The price is above LAYER_CONFIRM_ABOVE, and your client can't ask for approval.",
        "Ask the user to approve the price, then pass it as max_price_creative_units.",
        person_step="To approve it, add --max-price {estimated_price_creative_units:g}.",
    ),
    "DECLINED": ErrorCode(
        "price",
        "The user declined the price, or the client declined it without asking.",
        "Don't call again unless the user asks you to.",
        person_step="",
    ),
    "NOT_ANSWERED": ErrorCode(
        "price",
        "The user didn't approve or decline the price.",
        "Tell the user the price and call again when they're available; if your client can't ask "
        "them, they can raise LAYER_CONFIRM_ABOVE in the settings.",
        person_step="",
    ),
    "INSUFFICIENT_BALANCE": ErrorCode(
        "price",
        "The workspace doesn't have enough Creative Units.",
        "Add Creative Units at app.layer.ai, or request fewer or smaller outputs.",
        also=("layer", "run"),
        status="402",
    ),
    "JOURNAL_UNAVAILABLE": ErrorCode(
        "journal",
        "The run can't be recorded, so it isn't sent.",
        "Make the journal's folder writable and call again, or set LAYER_STATE_DIR to another "
        "folder and restart the server.",
        person_step="Make the journal's folder writable, or set LAYER_STATE_DIR to another folder.",
    ),
    "SUBMISSION_UNDER_WAY": ErrorCode(
        "journal",
        "Another call is sending the same run right now.",
        "Call list_runs to get its ID; don't start it again.",
        person_step="Run layer-mcp runs to see its status.",
    ),
    "OUTCOME_UNKNOWN": ErrorCode(
        "journal",
        "The request was sent, but Layer didn't confirm the run.",
        "Look in Layer (app.layer.ai) before trying again; the run may exist and be charged.",
        person_step="Look in Layer (app.layer.ai) before you add --repeat to try again; the run "
        "may exist and be charged.",
    ),
    "RUNS_AT_LIMIT": ErrorCode(
        "journal",
        "You've reached Layer's limit on concurrent runs.",
        "Call list_runs with wait_for any to wait until one finishes, then call again.",
        person_step="Wait for one to finish; to list them, run layer-mcp runs --status running.",
    ),
    "GENERATIONS_AT_LIMIT": ErrorCode(
        "journal",
        "You've reached Layer's limit on runs per minute.",
        "Call again in a minute; nothing was sent.",
    ),
    "NOT_SENT": ErrorCode(
        "journal",
        "The run was canceled before it was sent.",
        "Call again if you still want it; nothing was sent.",
    ),
    "CANCELLED": ErrorCode(
        "journal",
        "The call ended before its run was sent.",
        "Call again if you still want it; nothing was sent.",
    ),
    "SERVER_STOPPED": ErrorCode(
        "journal",
        "The server shut down before the run was sent.",
        "Call again; nothing was sent.",
    ),
    "FILE_NOT_FOUND": ErrorCode(
        "file",
        "The file doesn't exist on this machine, or Layer has no file with this ID.",
        "Check the path or the file_id; upload the file again if it was deleted.",
        person_step="Check the path.",
        also=("layer",),
        status="404",
    ),
    "NOT_A_FILE": ErrorCode(
        "file",
        "The path is not a regular file; it may be a folder.",
        "Pass the path of a single file.",
    ),
    "FILE_UNREADABLE": ErrorCode(
        "file",
        "The file exists but can't be read.",
        "Check the file's permissions, or copy it to a readable folder.",
    ),
    "FILE_EMPTY": ErrorCode(
        "file",
        "The file is empty.",
        "Check that the file was saved completely.",
    ),
    "FILE_TOO_LARGE": ErrorCode(
        "file",
        "The file is larger than LAYER_MAX_UPLOAD_MB.",
        "Make the file smaller, or raise LAYER_MAX_UPLOAD_MB if Layer accepts larger files.",
    ),
    "FILE_TYPE_NOT_SUPPORTED": ErrorCode(
        "file",
        "The file's content isn't PNG, JPEG, WebP, MP4, MP3, or WAV.",
        "Convert the file to one of these types.",
    ),
    "FILE_CHANGED": ErrorCode(
        "file",
        "The file changed while it was being read.",
        "Wait until the file is saved completely, then call again.",
    ),
    "PATH_NOT_ALLOWED": ErrorCode(
        "file",
        "The file is outside the allowed input folders.",
        "Use a file in those folders, or add its folder to LAYER_INPUT_DIRS and restart the "
        "server.",
        person_step="Use a file in those folders, or add its folder to LAYER_INPUT_DIRS.",
    ),
    "UPLOAD_UNFINISHED": ErrorCode(
        "file",
        "The call timed out before the whole file was uploaded.",
        "Call again with the same path to resume the upload.",
    ),
    "UPLOAD_FAILED": ErrorCode(
        "file",
        "The connection to the storage host failed too many times.",
        "Check the network, then call again to resume the upload.",
    ),
    "UPLOAD_REFUSED": ErrorCode(
        "file",
        "The storage host rejected the file.",
        "Check that Layer accepts files of this type and size, then call again.",
    ),
    "UPLOAD_EXPIRED": ErrorCode(
        "file",
        "The storage host rejected the signed URL.",
        "Check this machine's clock, then call again.",
    ),
    "FILE_SIZE_MISMATCH": ErrorCode(
        "file",
        "The file that was sent to an upload URL isn't as large as create_upload was told.",
        "Call create_upload with the file's exact size, and send the file to the new URL.",
    ),
    "FILE_TYPE_MISMATCH": ErrorCode(
        "file",
        "The file that was sent to an upload URL has another type than create_upload was told.",
        "Call create_upload with the file's real content_type, and send the file to the new URL.",
    ),
    "UPLOAD_TOO_SLOW": ErrorCode(
        "file",
        "The file that was sent to an upload URL arrived too slowly.",
        "Send the file to the same URL again; if it has expired, call create_upload again.",
    ),
    "UPLOAD_URL_INVALID": ErrorCode(
        "file",
        "The upload URL isn't one that this server created.",
        "Call create_upload, and send the file to the complete URL that it returns.",
    ),
    "UPLOAD_URL_EXPIRED": ErrorCode(
        "file",
        "The upload URL has expired.",
        "Call create_upload again, and send the file to the new URL.",
    ),
    "CONNECTION_FAILED": ErrorCode(
        "network",
        "Couldn't connect to Layer; nothing was sent.",
        "Check the network, the proxy, and LAYER_API_URL, then call again.",
    ),
    "CONNECTION_LOST": ErrorCode(
        "network",
        "The connection was lost before the full response arrived.",
        "Call again.",
    ),
    "TIMEOUT": ErrorCode(
        "network",
        "Layer didn't respond in time.",
        "Call again.",
        also=("layer",),
        status="408",
    ),
    "TLS_FAILED": ErrorCode(
        "network",
        "This machine doesn't trust the certificate of the API or of a file host.",
        "If your network has its own certificate authority, set SSL_CERT_FILE to its certificate.",
    ),
    "NETWORK_SETTINGS": ErrorCode(
        "network",
        "A certificate or proxy variable is invalid.",
        "Fix or remove the variable that the message names, and restart the server.",
        person_step="Fix or remove that variable.",
    ),
    "UNEXPECTED_REDIRECT": ErrorCode(
        "network",
        "The API URL redirects, and redirects aren't followed.",
        "Set LAYER_API_URL to the API's final URL.",
    ),
    "UNEXPECTED_RESPONSE": ErrorCode(
        "network",
        "The response isn't from Layer or can't be read.",
        "Check LAYER_API_URL and the proxy, then call again.",
    ),
    "HOST_NOT_ALLOWED": ErrorCode(
        "network",
        "A file's URL points to a private address or to a host that isn't allowed.",
        "If you trust that host, add it to LAYER_MEDIA_HOSTS and restart the server.",
        person_step="If you trust that host, add it to LAYER_MEDIA_HOSTS.",
    ),
    "TOO_BUSY": ErrorCode(
        "network",
        "This server is handling too many requests.",
        "Wait a few seconds, then call again.",
    ),
    "UNAUTHENTICATED": ErrorCode(
        "layer",
        "Layer rejected the token.",
        "Create a new Personal Access Token at app.layer.ai > Settings, run layer-mcp login or set "
        "LAYER_API_KEY, and restart the server.",
        person_step="Create a new Personal Access Token at app.layer.ai > Settings, then run "
        "layer-mcp login.",
        status="401",
    ),
    "FORBIDDEN": ErrorCode(
        "layer",
        "The token doesn't have permission to do this.",
        "Ask the workspace's owner for access, or use another workspace.",
        status="403",
    ),
    "FEATURE_DISABLED": ErrorCode(
        "layer",
        "The workspace doesn't have this feature.",
        "Use another model, or ask Layer to enable the feature for the workspace.",
    ),
    "USAGE_LIMIT_EXCEEDED": ErrorCode(
        "layer",
        "The workspace, or your account in it, has reached its usage limit.",
        "Ask the workspace's owner to raise the usage limit.",
        also=("run",),
    ),
    "WORKSPACE_NOT_FOUND": ErrorCode(
        "layer",
        "The account has no workspace with this ID, slug, or name.",
        "Set workspace_id or LAYER_WORKSPACE_ID to a workspace in this account.",
        person_step="Choose a workspace in this account with --workspace or LAYER_WORKSPACE_ID.",
        also=("call",),
        status="404",
    ),
    "MODEL_NOT_FOUND": ErrorCode(
        "layer",
        "The workspace has no model with this ID.",
        "Pass the ID of a model in this workspace.",
        person_step="Run layer-mcp models to see which models are available.",
        status="404",
    ),
    "WORKFLOW_NOT_FOUND": ErrorCode(
        "layer",
        "The workspace has no workflow with this ID.",
        "Pass the ID of a workflow in this workspace.",
        also=("call",),
        status="404",
    ),
    "INFERENCE_NOT_FOUND": ErrorCode(
        "layer",
        "The workspace has no run with this ID.",
        "Check inference_id, and pass the workspace_id that the run was started in.",
        person_step="Find the ID with layer-mcp runs, or set --workspace to the run's.",
        status="404",
    ),
    "WORKFLOW_RUN_NOT_FOUND": ErrorCode(
        "layer",
        "The workflow has no run with this ID.",
        "Check run_id and workflow_id, and pass the workspace_id that the run was started in.",
        person_step="Find the ID with layer-mcp runs, or set --workspace to the run's.",
        status="404",
    ),
    "NOT_FOUND": ErrorCode(
        "layer",
        "Layer has nothing at this URL, or nothing with this ID.",
        "Check the IDs in the call.",
        person_step="Check the ID.",
        status="404",
    ),
    "INVALID_INPUTS": ErrorCode(
        "layer",
        "Layer rejected the inputs named in the message.",
        "Correct the named argument and call again.",
        person_step="Correct it and try again.",
        status="400, 422",
    ),
    "RATE_LIMITED": ErrorCode(
        "layer",
        "You've reached Layer's limit on concurrent runs or runs per minute.",
        "Wait a minute, or until a run finishes, then call again.",
        status="429",
    ),
    "SERVICE_UNAVAILABLE": ErrorCode(
        "layer",
        "Layer is temporarily unavailable.",
        "Wait a minute, then call again.",
        status="503",
    ),
    "SERVER_ERROR": ErrorCode(
        "layer",
        "Layer had an internal error.",
        "Wait a minute, then call again; if it keeps failing, contact Layer support.",
        status="500 and above",
    ),
    "REQUEST_REFUSED": ErrorCode(
        "layer",
        "Layer rejected the request for another reason.",
        "Change the request; the same one will be rejected again.",
        status="other 4xx",
    ),
    "NOTHING_TO_SAVE": ErrorCode(
        "output",
        "The run has no files yet, or didn't produce any.",
        "Wait for the run to finish, then call again.",
    ),
    "DOWNLOAD_FAILED": ErrorCode(
        "output",
        "A file couldn't be downloaded completely from the media host.",
        "Call again; the run and its files are unaffected.",
    ),
    "OUTPUT_GONE": ErrorCode(
        "output",
        "The file is no longer at its URL, or Layer didn't provide one.",
        "Look for the file in Layer (app.layer.ai).",
    ),
    "OUTPUT_TOO_LARGE": ErrorCode(
        "output",
        "The file is larger than LAYER_MAX_DOWNLOAD_MB.",
        "Raise LAYER_MAX_DOWNLOAD_MB, or download the file from its URL.",
    ),
    "FOLDER_NOT_WRITABLE": ErrorCode(
        "output",
        "The output folder can't be created or written to.",
        "Set LAYER_OUTPUT_DIR to a writable folder, and restart the server.",
        person_step="Name another folder with --out.",
    ),
    "INVALID_FOLDER": ErrorCode(
        "output",
        "The folder is outside the output folder or isn't a valid name.",
        "Pass a folder inside the output folder, such as icons or icons/potions.",
    ),
    "DISK_FULL": ErrorCode(
        "output",
        "The output folder's disk is full.",
        "Free up space, or set LAYER_OUTPUT_DIR to another disk, then save again.",
        person_step="Free up space, or name a folder on another disk with --out.",
    ),
    "CONTENT_POLICY_VIOLATION": ErrorCode(
        "run",
        "The request violates Layer's content policy or the model's.",
        CHANGE_INPUTS,
        also=("layer",),
    ),
    "INPUT_GUARDRAIL_VIOLATION": ErrorCode(
        "run",
        "A guardrail rejected the inputs.",
        CHANGE_INPUTS,
    ),
    "PROMPT_INTELLECTUAL_PROPERTY": ErrorCode(
        "run",
        "The prompt contains a protected name.",
        "Remove protected names from the prompt; the same inputs will be rejected again.",
    ),
    "NO_MEDIA_GENERATED": ErrorCode(
        "run",
        "The model finished without an output.",
        "Change the prompt or the model; the same inputs will fail again.",
    ),
    "RUN_FAILED": ErrorCode(
        "run",
        "The run failed, and Layer didn't say why.",
        OTHER_RUN_NEXT_STEP,
    ),
    "MODEL_AMBIGUOUS": ErrorCode(
        "terminal",
        "Several models have this name.",
        "Use the ID of one of them.",
    ),
    "READ_FAILED": ErrorCode(
        "server",
        "A resource couldn't be read because of a bug in the server.",
        "Read it again; if it keeps failing, report it with the server's log.",
    ),
    "TOOL_CRASHED": ErrorCode(
        "server",
        "A tool failed because of a bug in the server.",
        "Look in Layer (app.layer.ai) before trying again, and report this with the server's log.",
        person_step="Look in Layer (app.layer.ai) first, and report this with the log above.",
    ),
}
