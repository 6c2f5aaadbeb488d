"""What can go wrong: `LayerError`, and the one table of error codes.

Agents, people at a terminal and the documentation get the same rows. Layer may answer with codes
that have no row yet: they are passed on unchanged. A test fails when the package names a code that
has no row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .text.plain_text import one_line

SENTENCE_LENGTH = 300

Source = Literal[
    "call", "price", "journal", "file", "network", "layer", "output", "run", "terminal", "server"
]

SOURCES: dict[Source, str] = {
    "call": "Invalid calls: rejected before anything is sent",
    "price": "Price and approval: rejected before anything is sent",
    "journal": "Sending a paid run",
    "file": "Local files",
    "network": "The connection to Layer",
    "layer": "Errors from Layer (HTTP problem)",
    "output": "Downloading and saving outputs",
    "run": "Runs that failed in Layer",
    "terminal": "Terminal commands",
    "server": "The server",
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
    """The name of an argument within a message. A command line has another name for it."""

    name: str


MessagePart = str | Argument


class LayerError(Exception):
    """A call that failed: a stable `code`, one sentence, one next step.

    The sentence is a text, or its parts where it names arguments. `inference_id`, or `run_id` for a
    workflow, is set whenever the run is known, so that a run that was paid for is never lost.
    `transient` means that the same read may succeed later. `facts` is plain JSON that a caller can
    act on. `person_step` is for a person at a terminal, where the table's step is not enough.
    """

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
        super().__init__(self.message)
        self.next_step = next_step or next_step_for(code)
        self.person_step = person_step
        self.inference_id = inference_id
        self.run_id = run_id
        self.transient = transient
        self.retry_after_seconds = retry_after_seconds
        self.facts = facts or {}

    @property
    def message(self) -> str:
        """The sentence as agents and programs read it."""
        return join_parts(self.parts)

    def describe(self, name_of: Callable[[str], str]) -> str:
        """Return the sentence with the names that a caller has for the arguments."""
        return join_parts(self.parts, name_of)

    def as_json(self) -> dict[str, Any]:
        """Return the failure as tools and commands answer it."""
        ids = {"inference_id": self.inference_id, "run_id": self.run_id}
        return {
            "error": {"code": self.code, "message": self.message},
            **self.facts,
            **{name: run_id for name, run_id in ids.items() if run_id},
            "next_step": self.next_step,
        }

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.next_step}"


def join_parts(parts: Sequence[MessagePart], name_of: Callable[[str], str] = str) -> str:
    """Return a message as text, with the names that a caller has for the arguments."""
    return "".join(part if isinstance(part, str) else name_of(part.name) for part in parts)


def next_step_for(code: str, status: int | None = None) -> str:
    """Return the next step for a code; a code without a row gets that of its family."""
    if code not in ERROR_CODES:
        if code.endswith("_NOT_FOUND"):
            code = "NOT_FOUND"
        elif status in CODE_BY_STATUS:
            code = CODE_BY_STATUS[status]
        else:
            code = "SERVER_ERROR" if (status or 0) >= 500 else "REQUEST_REFUSED"
    return ERROR_CODES[code].next_step


def next_step_for_person(code: str, facts: Mapping[str, Any] | None = None) -> str | None:
    """Return what a person at a terminal can do; None when it is the agent's next step.

    `facts` are those of the error.
    """
    step = ERROR_CODES[code].person_step if code in ERROR_CODES else None
    return step.format(**(facts or {})) if step else step


def next_step_for_run(code: str) -> str:
    """Return the next step after a run that failed with this code."""
    row = ERROR_CODES.get(code)
    if row is None or "run" not in (row.source, *row.also):
        return OTHER_RUN_NEXT_STEP
    return row.next_step


def one_sentence(text: str) -> str:
    """Return foreign text as one line of limited length that ends in a full stop."""
    line = one_line(text, SENTENCE_LENGTH)
    return line if line.endswith((".", "!", "?")) or not line else line + "."


@dataclass(frozen=True)
class ErrorCode:
    """A row of the table: where a code comes from, what it means, and what to do next.

    `person_step` replaces `next_step` at a terminal; empty for none. It may name facts of the error
    in braces. `also` lists further sources, `status` the HTTP statuses that Layer sends with it.
    """

    source: Source
    meaning: str
    next_step: str
    person_step: str | None = None
    also: tuple[Source, ...] = ()
    status: str = ""


CHANGE_INPUTS = "Change the prompt or the references; the same inputs will be rejected again."
OTHER_RUN_NEXT_STEP = "Change the inputs or the model, then start a new run; it is charged again."

ERROR_CODES: dict[str, ErrorCode] = {
    "MISSING_TOKEN": ErrorCode(
        "call",
        "No token is set or stored.",
        "Create a Personal Access Token at app.layer.ai > Settings > Personal Access Tokens and "
        "store it with layer-mcp login; or set it as LAYER_API_KEY and restart the server.",
        person_step="Run layer-mcp login, or try it with --sandbox.",
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
        person_step="Name one with --workspace or LAYER_WORKSPACE_ID.",
    ),
    "RUN_NOT_FOUND": ErrorCode(
        "call",
        "This machine's journal has no run with this id.",
        "Read layer://runs for the runs started on this machine.",
    ),
    "OUTPUT_NOT_FOUND": ErrorCode(
        "call",
        "No run in the journal has an output with this id.",
        "Read layer://runs, which lists each run's outputs.",
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
        "Make it cheaper, or ask the user; if they agree, call again with a higher "
        "max_price_creative_units.",
        person_step="Make it cheaper, or raise --max-price.",
    ),
    "PRICE_ABOVE_LIMIT": ErrorCode(
        "price",
        "The price is above LAYER_MAX_PRICE.",
        "Make it cheaper. Only the user can raise the limit, in the settings.",
        person_step="Make it cheaper, or raise the limit.",
    ),
    "SPENDING_LIMIT_REACHED": ErrorCode(
        "price",
        "This run would bring the last 24 hours over LAYER_MAX_SPEND_PER_DAY.",
        "Wait, or make it cheaper. Only the user can raise the limit, in the settings.",
        person_step="Wait, make it cheaper, or raise the limit.",
    ),
    "CONFIRMATION_REQUIRED": ErrorCode(
        "price",
        "The price is above LAYER_CONFIRM_ABOVE, and your client can't ask for approval.",
        "Ask the user first.",
        person_step="To approve it, add --max-price {estimated_price_creative_units:g}.",
    ),
    "DECLINED": ErrorCode(
        "price",
        "The user declined the price, or the client did so without asking.",
        "Do not send it again unless the user asks for it.",
        person_step="",
    ),
    "NOT_ANSWERED": ErrorCode(
        "price",
        "The user didn't approve or decline the price.",
        "Tell the user the price, and call again when they are available. If your client can't ask "
        "them, only the server's settings decide (LAYER_CONFIRM_ABOVE).",
        person_step="",
    ),
    "INSUFFICIENT_BALANCE": ErrorCode(
        "price",
        "The workspace does not have enough Creative Units.",
        "Add Creative Units at app.layer.ai, or request fewer or smaller outputs.",
        also=("layer", "run"),
        status="402",
    ),
    "JOURNAL_UNAVAILABLE": ErrorCode(
        "journal",
        "The run can't be recorded, so it isn't sent.",
        "Make that folder writable and call again, or set LAYER_STATE_DIR and restart the server.",
        person_step="Make that folder writable, or set LAYER_STATE_DIR to another folder.",
    ),
    "SUBMISSION_UNDER_WAY": ErrorCode(
        "journal",
        "Another call is sending the same run right now.",
        "Call list_runs for its id; do not send it again.",
        person_step="Check it with layer-mcp runs.",
    ),
    "OUTCOME_UNKNOWN": ErrorCode(
        "journal",
        "The request was sent, but it's unknown whether the run exists.",
        "Look in Layer (app.layer.ai) before trying again: the run may exist and be charged.",
        person_step="Look in Layer (app.layer.ai): the run may exist and be charged. --repeat "
        "sends it again.",
    ),
    "RUNS_AT_LIMIT": ErrorCode(
        "journal",
        "Layer's limit of runs at the same time is reached.",
        "Wait for one to finish with list_runs and wait_for any, then call again.",
        person_step="Wait for one to finish; layer-mcp runs --status running lists them.",
    ),
    "GENERATIONS_AT_LIMIT": ErrorCode(
        "journal",
        "Layer's limit of runs started per minute is reached.",
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
        "The server was told to stop before the run was sent.",
        "Call again; it was not sent.",
    ),
    "FILE_NOT_FOUND": ErrorCode(
        "file",
        "The file doesn't exist on this machine, or Layer has no file with this id.",
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
        "If your network uses its own certificate authority, set SSL_CERT_FILE to it.",
    ),
    "NETWORK_SETTINGS": ErrorCode(
        "network",
        "The certificate or proxy variables are invalid.",
        "Fix SSL_CERT_FILE, SSL_CERT_DIR, or the proxy variables, and restart the server.",
        person_step="Fix SSL_CERT_FILE, SSL_CERT_DIR, or the proxy variables.",
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
        "A file's URL points to a private host or one that isn't allowed.",
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
        "Create a new Personal Access Token at app.layer.ai > Settings, store it with layer-mcp "
        "login or set it as LAYER_API_KEY, and restart the server.",
        person_step="Create a new Personal Access Token at app.layer.ai > Settings, and run "
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
        "The usage limit of the workspace or its member is reached.",
        "Ask the workspace's owner to raise the usage limit.",
        also=("run",),
    ),
    "WORKSPACE_NOT_FOUND": ErrorCode(
        "layer",
        "The account has no workspace with this id, slug, or name.",
        "Set workspace_id or LAYER_WORKSPACE_ID to a workspace in this account.",
        person_step="Name one in this account with --workspace or LAYER_WORKSPACE_ID.",
        also=("call",),
        status="404",
    ),
    "MODEL_NOT_FOUND": ErrorCode(
        "layer",
        "The workspace has no such model.",
        "Use the id of a model that this workspace has.",
        person_step="layer-mcp models lists the models.",
        status="404",
    ),
    "WORKFLOW_NOT_FOUND": ErrorCode(
        "layer",
        "The workspace has no such workflow.",
        "Use the id of a workflow that this workspace has.",
        also=("call",),
        status="404",
    ),
    "INFERENCE_NOT_FOUND": ErrorCode(
        "layer",
        "The workspace has no such run.",
        "Check inference_id, and that workspace_id is where it was started.",
        person_step="layer-mcp runs lists the runs; --workspace names where it was started.",
        status="404",
    ),
    "WORKFLOW_RUN_NOT_FOUND": ErrorCode(
        "layer",
        "The workflow has no such run.",
        "Check run_id and workflow_id, and that workspace_id is where it was started.",
        person_step="layer-mcp runs lists the runs; --workspace names where it was started.",
        status="404",
    ),
    "NOT_FOUND": ErrorCode(
        "layer",
        "Layer found nothing at this URL or for an id in it.",
        "Check the ids in the call.",
        person_step="Check the id.",
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
        "Layer's limit of runs at the same time or per minute is reached.",
        "Wait a minute or for a running generation to finish, then call again.",
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
        "Layer rejected the request with another status.",
        "Correct the call; the same one will be rejected again.",
        status="other 4xx",
    ),
    "NOTHING_TO_SAVE": ErrorCode(
        "output",
        "The run has no files, or none yet.",
        "Wait for the run to finish, then call again.",
    ),
    "SAVING_UNFINISHED": ErrorCode(
        "output",
        "The call timed out before all files were saved.",
        "Call save_outputs again to continue. If one file always times out, raise "
        "LAYER_MAX_WAIT_SECONDS or download it from its URL.",
    ),
    "DOWNLOAD_FAILED": ErrorCode(
        "output",
        "A file couldn't be downloaded completely from the media host.",
        "Call again; the run and its files are unaffected.",
    ),
    "OUTPUT_GONE": ErrorCode(
        "output",
        "The file is no longer at its URL, or Layer gave no URL.",
        "Look at the run in Layer; the file is no longer at its URL.",
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
        "The content policy of Layer or of the model rejected it.",
        CHANGE_INPUTS,
        also=("layer",),
    ),
    "INPUT_GUARDRAIL_VIOLATION": ErrorCode(
        "run",
        "An input check rejected the inputs.",
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
        "The run failed, and Layer gave no code.",
        OTHER_RUN_NEXT_STEP,
    ),
    "MODEL_AMBIGUOUS": ErrorCode(
        "terminal",
        "Several models have this name.",
        "Use the id of one of them.",
    ),
    "READ_FAILED": ErrorCode(
        "server",
        "A resource couldn't be read because of a bug in the server.",
        "Try again.",
    ),
    "TOOL_CRASHED": ErrorCode(
        "server",
        "A tool failed because of a bug in the server.",
        "Look in Layer before trying again, and report this with the server's log.",
        person_step="Look in Layer before trying again, and report this with the log above.",
    ),
}
