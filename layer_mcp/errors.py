"""What can go wrong: `LayerError`, and the one table of error codes.

Agents, people at a terminal and the documentation get the same rows. Layer may answer with codes
that have no row yet: they are passed on unchanged. A test fails when the package names a code that
has no row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SENTENCE_LENGTH = 300

Source = Literal[
    "call", "price", "journal", "file", "network", "layer", "output", "run", "terminal", "server"
]

SOURCES: dict[Source, str] = {
    "call": "What was asked for: refused here, nothing was sent",
    "price": "Price and consent: refused here, nothing was sent",
    "journal": "Sending a paid run",
    "file": "A local file",
    "network": "The way to Layer",
    "layer": "Layer's own answer (HTTP problem)",
    "output": "Fetching and saving outputs",
    "run": "A run that failed in Layer",
    "terminal": "A command at a terminal",
    "server": "The server itself",
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
    line = " ".join(text.split())
    if len(line) > SENTENCE_LENGTH:
        line = line[: SENTENCE_LENGTH - 3].rstrip() + "..."
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


CHANGE_INPUTS = "Change the prompt or the references; the same inputs are refused again."
OTHER_RUN_NEXT_STEP = "Change the inputs or the model before a new run; it is charged anew."

ERROR_CODES: dict[str, ErrorCode] = {
    "MISSING_TOKEN": ErrorCode(
        "call",
        "No token is set, and none is stored.",
        "Create a Personal Access Token at app.layer.ai > Settings > Personal Access Tokens and "
        "store it with layer-mcp login; or set it as LAYER_API_KEY and start the server again.",
        person_step="Run layer-mcp login, or try it with --sandbox.",
    ),
    "INVALID_ARGUMENTS": ErrorCode(
        "call",
        "An argument is unknown, missing or out of its limits.",
        "Correct the argument and call again; nothing was sent.",
        person_step="Correct it and try again; nothing was sent.",
    ),
    "WORKSPACE_REQUIRED": ErrorCode(
        "call",
        "The account has several workspaces and none is named.",
        "Pass one of them as workspace_id, or set LAYER_WORKSPACE_ID.",
        person_step="Name one with --workspace or LAYER_WORKSPACE_ID.",
    ),
    "RUN_NOT_FOUND": ErrorCode(
        "call",
        "The journal of this machine has no run with this id.",
        "Read layer://runs for those that were started here.",
    ),
    "OUTPUT_NOT_FOUND": ErrorCode(
        "call",
        "No run of the journal has an output with this id.",
        "Read layer://runs, whose runs name their outputs.",
    ),
    "PRICE_UNKNOWN": ErrorCode(
        "price",
        "The price could not be had, which counts as above every limit.",
        "Call again in a minute; nothing was sent.",
        person_step="Try again in a minute.",
    ),
    "PRICE_ABOVE_MAX": ErrorCode(
        "price",
        "The price is above the call's own max_price_creative_units.",
        "Make it cheaper, or ask the user; after a yes call again with a higher "
        "max_price_creative_units.",
        person_step="Make it cheaper, or raise --max-price.",
    ),
    "PRICE_ABOVE_LIMIT": ErrorCode(
        "price",
        "The price is above LAYER_MAX_PRICE.",
        "Make it cheaper. Only the user can raise the limit, by a setting.",
        person_step="Make it cheaper, or raise the limit.",
    ),
    "SPENDING_LIMIT_REACHED": ErrorCode(
        "price",
        "With this run the last 24 hours would cost more than LAYER_MAX_SPEND_PER_DAY.",
        "Wait, or make it cheaper. Only the user can raise the limit, by a setting.",
        person_step="Wait, make it cheaper, or raise the limit.",
    ),
    "CONFIRMATION_REQUIRED": ErrorCode(
        "price",
        "The price is above LAYER_CONFIRM_ABOVE, and the host cannot show a question.",
        "Ask the user first.",
        person_step="To agree to it, add --max-price {estimated_price_creative_units:g}.",
    ),
    "DECLINED": ErrorCode(
        "price",
        "The person, or a host that asks nobody, said no to the price.",
        "Do not send it again unless the user asks for it.",
        person_step="",
    ),
    "NOT_ANSWERED": ErrorCode(
        "price",
        "The person gave no answer to the price that can be used.",
        "Tell the user the price and call again when they are there to answer. Where nobody is "
        "asked, only the server's settings decide (LAYER_CONFIRM_ABOVE).",
        person_step="",
    ),
    "INSUFFICIENT_BALANCE": ErrorCode(
        "price",
        "The workspace does not have enough Creative Units.",
        "Add Creative Units at app.layer.ai, or make fewer or smaller outputs.",
        also=("layer", "run"),
        status="402",
    ),
    "JOURNAL_UNAVAILABLE": ErrorCode(
        "journal",
        "The run cannot be written down, so it is not sent.",
        "Make that folder writable or set LAYER_STATE_DIR, and start the server again.",
        person_step="Make that folder writable, or set LAYER_STATE_DIR to another.",
    ),
    "SUBMISSION_UNDER_WAY": ErrorCode(
        "journal",
        "The same run is being sent by another call at this moment.",
        "Call list_runs for its id; do not send it again.",
        person_step="layer-mcp runs shows what becomes of it.",
    ),
    "OUTCOME_UNKNOWN": ErrorCode(
        "journal",
        "The request went out, and nothing says whether the run exists.",
        "Look in Layer (app.layer.ai) before trying again: the run may exist and be charged.",
        person_step="Look in Layer (app.layer.ai): the run may exist and be charged. --repeat "
        "sends it again.",
    ),
    "RUNS_AT_LIMIT": ErrorCode(
        "journal",
        "As many runs are under way as Layer allows at once.",
        "Wait for one to end with list_runs and wait_for any, then call again.",
        person_step="Wait for one to end; layer-mcp runs --status running lists them.",
    ),
    "GENERATIONS_AT_LIMIT": ErrorCode(
        "journal",
        "As many runs were started within a minute as Layer allows.",
        "Call again in a minute; nothing was sent.",
    ),
    "NOT_SENT": ErrorCode(
        "journal",
        "The run was given up before it was sent.",
        "Call again if it is still wanted; nothing was sent.",
    ),
    "CANCELLED": ErrorCode(
        "journal",
        "The call ended before its run was sent.",
        "Call again if it is still wanted; nothing was sent.",
    ),
    "SERVER_STOPPED": ErrorCode(
        "journal",
        "The server was told to stop before the run was sent.",
        "Call again; it was not sent.",
    ),
    "FILE_NOT_FOUND": ErrorCode(
        "file",
        "There is no such file here, or no file with this id in Layer.",
        "Check the path or the file_id; a file that is gone must be uploaded again.",
        person_step="Check the path.",
        also=("layer",),
        status="404",
    ),
    "NOT_A_FILE": ErrorCode(
        "file",
        "The path is a folder or something else than a regular file.",
        "Give the path of one file.",
    ),
    "FILE_UNREADABLE": ErrorCode(
        "file",
        "The file is there but cannot be read.",
        "Check the file's permissions, or copy it to a folder that can be read.",
    ),
    "FILE_EMPTY": ErrorCode(
        "file",
        "The file has no content.",
        "Check that the file was written to the end.",
    ),
    "FILE_TOO_LARGE": ErrorCode(
        "file",
        "The file is larger than LAYER_MAX_UPLOAD_MB.",
        "Make the file smaller, or raise LAYER_MAX_UPLOAD_MB if Layer takes more.",
    ),
    "FILE_TYPE_NOT_SUPPORTED": ErrorCode(
        "file",
        "By its content the file is no PNG, JPEG, WebP, MP4, MP3 or WAV.",
        "Convert the file to one of these types first.",
    ),
    "FILE_CHANGED": ErrorCode(
        "file",
        "The file changed while it was read.",
        "Wait until the file is written to the end, then call again.",
    ),
    "PATH_NOT_ALLOWED": ErrorCode(
        "file",
        "The file is outside the folders that may be read.",
        "Use a file below those folders, or add its folder to LAYER_INPUT_DIRS and start the "
        "server again.",
    ),
    "UPLOAD_UNFINISHED": ErrorCode(
        "file",
        "The time of one call was up before all of the file had arrived.",
        "Call again with the same path; it goes on from what arrived.",
    ),
    "UPLOAD_FAILED": ErrorCode(
        "file",
        "The connection to the storage host broke too often.",
        "Check the network, then call again; it goes on from what arrived.",
    ),
    "UPLOAD_REFUSED": ErrorCode(
        "file",
        "The storage host refused the file.",
        "Check that Layer takes files of this type and size, then call again.",
    ),
    "UPLOAD_EXPIRED": ErrorCode(
        "file",
        "The storage host did not accept the signed address.",
        "Check this machine's clock, then call again.",
    ),
    "CONNECTION_FAILED": ErrorCode(
        "network",
        "No connection to Layer could be made; nothing was sent.",
        "Check the network, the proxy and LAYER_API_URL, then call again.",
    ),
    "CONNECTION_LOST": ErrorCode(
        "network",
        "The connection broke before the answer was complete.",
        "Call again.",
    ),
    "TIMEOUT": ErrorCode(
        "network",
        "Layer did not answer in time.",
        "Call again.",
        also=("layer",),
        status="408",
    ),
    "TLS_FAILED": ErrorCode(
        "network",
        "The certificate of the API or of a file host is not trusted here.",
        "If your network uses its own certificate authority, set SSL_CERT_FILE to it.",
    ),
    "NETWORK_SETTINGS": ErrorCode(
        "network",
        "The certificate or proxy variables cannot be used.",
        "Correct SSL_CERT_FILE, SSL_CERT_DIR or the proxy variables, and start the server again.",
    ),
    "UNEXPECTED_REDIRECT": ErrorCode(
        "network",
        "The API's address answers with a redirect, which is not followed.",
        "Set LAYER_API_URL to the final address of the API.",
    ),
    "UNEXPECTED_RESPONSE": ErrorCode(
        "network",
        "What answered is not Layer, or cannot be read.",
        "Check LAYER_API_URL and the proxy, then call again.",
    ),
    "HOST_NOT_ALLOWED": ErrorCode(
        "network",
        "A file's address is on a host that is not allowed, or on a private one.",
        "If you trust that host, add it to LAYER_MEDIA_HOSTS and start the server again.",
    ),
    "TOO_BUSY": ErrorCode(
        "network",
        "Too many requests are under way in this server.",
        "Wait a few seconds, then call again.",
    ),
    "UNAUTHENTICATED": ErrorCode(
        "layer",
        "Layer did not accept the token.",
        "Create a new Personal Access Token at app.layer.ai > Settings, store it with layer-mcp "
        "login or set it as LAYER_API_KEY, and start the server again.",
        person_step="Create a new Personal Access Token at app.layer.ai > Settings, and run "
        "layer-mcp login.",
        status="401",
    ),
    "FORBIDDEN": ErrorCode(
        "layer",
        "The token may not do this.",
        "Ask the workspace's owner for access, or use another workspace.",
        status="403",
    ),
    "FEATURE_DISABLED": ErrorCode(
        "layer",
        "The workspace does not have this feature.",
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
        "The account has no workspace of this id, slug or name.",
        "Set workspace_id or LAYER_WORKSPACE_ID to a workspace of this account.",
        person_step="Name one of this account with --workspace or LAYER_WORKSPACE_ID.",
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
        status="404",
    ),
    "NOT_FOUND": ErrorCode(
        "layer",
        "Layer does not know the address or an id in it.",
        "Check the ids in the call.",
        person_step="Check the id.",
        status="404",
    ),
    "INVALID_INPUTS": ErrorCode(
        "layer",
        "Layer refused the inputs, and names them.",
        "Correct the named argument and call again.",
        person_step="Correct it and try again.",
        status="400, 422",
    ),
    "RATE_LIMITED": ErrorCode(
        "layer",
        "Layer's limit of runs at once or a minute is reached.",
        "Wait for a running generation to end or for a minute, then call again.",
        status="429",
    ),
    "SERVICE_UNAVAILABLE": ErrorCode(
        "layer",
        "Layer is not available for the moment.",
        "Wait a minute, then call again.",
        status="503",
    ),
    "SERVER_ERROR": ErrorCode(
        "layer",
        "Layer had an internal error.",
        "Wait a minute, then call again; if it stays, ask Layer's support.",
        status="500 and above",
    ),
    "REQUEST_REFUSED": ErrorCode(
        "layer",
        "Layer refused the request with another status.",
        "Correct the call; the same one is refused again.",
        status="other 4xx",
    ),
    "NOTHING_TO_SAVE": ErrorCode(
        "output",
        "The run has no files, or none yet.",
        "Wait for the run until it has ended, then call again.",
    ),
    "SAVING_UNFINISHED": ErrorCode(
        "output",
        "The time of one call was up before all files were saved.",
        "Call save_outputs again: what is saved stays. If one file never fits, raise "
        "LAYER_MAX_WAIT_SECONDS or fetch it from its URL.",
    ),
    "DOWNLOAD_FAILED": ErrorCode(
        "output",
        "A file could not be fetched whole from the media host.",
        "Call again; the run and its files stay as they are.",
    ),
    "OUTPUT_GONE": ErrorCode(
        "output",
        "The file is not at its address any more, or Layer gave none.",
        "Look at the run in Layer; the file is not at its address any more.",
    ),
    "OUTPUT_TOO_LARGE": ErrorCode(
        "output",
        "The file is larger than LAYER_MAX_DOWNLOAD_MB.",
        "Raise LAYER_MAX_DOWNLOAD_MB, or fetch the file from its URL.",
    ),
    "FOLDER_NOT_WRITABLE": ErrorCode(
        "output",
        "The output folder cannot be made or written.",
        "Set LAYER_OUTPUT_DIR to a folder that can be written, and start the server again.",
        person_step="Name another folder with --out.",
    ),
    "INVALID_FOLDER": ErrorCode(
        "output",
        "The folder leads out of the output folder or is no name of one.",
        "Give a folder below the output folder, such as icons or icons/potions.",
    ),
    "DISK_FULL": ErrorCode(
        "output",
        "The disk of the output folder is full.",
        "Free some space, or set LAYER_OUTPUT_DIR to another disk; then save again.",
        person_step="Free some space, or name a folder of another disk with --out.",
    ),
    "CONTENT_POLICY_VIOLATION": ErrorCode(
        "run",
        "The content policy of Layer or of the model refused it.",
        CHANGE_INPUTS,
        also=("layer",),
    ),
    "INPUT_GUARDRAIL_VIOLATION": ErrorCode(
        "run",
        "A check of the inputs refused them.",
        CHANGE_INPUTS,
    ),
    "PROMPT_INTELLECTUAL_PROPERTY": ErrorCode(
        "run",
        "The prompt names what is protected.",
        "Take protected names out of the prompt; the same inputs are refused again.",
    ),
    "NO_MEDIA_GENERATED": ErrorCode(
        "run",
        "The model ended without an output.",
        "Change the prompt or the model; the same inputs fail again.",
    ),
    "RUN_FAILED": ErrorCode(
        "run",
        "Layer says that the run failed, and gives no code.",
        OTHER_RUN_NEXT_STEP,
    ),
    "MODEL_AMBIGUOUS": ErrorCode(
        "terminal",
        "Several models have the name that was given.",
        "Give the id of one of them.",
    ),
    "READ_FAILED": ErrorCode(
        "server",
        "A resource could not be read because of a fault in the server.",
        "Try again.",
    ),
    "TOOL_CRASHED": ErrorCode(
        "server",
        "A tool failed because of a fault in the server.",
        "Look in Layer before trying again, and report this with the server's log.",
    ),
}
