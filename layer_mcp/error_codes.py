"""Every stable error code: what it means and where it comes from. The page of errors is made of it.

What to do next is said in `errors`, where an error gets it. A test reads the code and fails when it
names one that has no row here. Layer may answer with codes that are not known yet: they are passed
on as they are.
"""

from dataclasses import dataclass
from typing import Literal

from .errors import NEXT_STEPS, OTHER_RUN_NEXT_STEP, RUN_NEXT_STEPS

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


@dataclass(frozen=True)
class ErrorCode:
    """A code and one sentence; `source` is where it mostly comes from, `also` where else.

    `status` is the HTTP status that Layer sends with it. `own_step` is the next step of one that
    `errors` has none for.
    """

    code: str
    source: Source
    meaning: str
    also: tuple[Source, ...] = ()
    status: str = ""
    own_step: str = ""

    @property
    def next_step(self) -> str:
        """What to do after it; an error that knows more says more."""
        steps = RUN_NEXT_STEPS if self.source == "run" else NEXT_STEPS
        return self.own_step or steps[self.code]


ERROR_CODES = (
    ErrorCode("MISSING_TOKEN", "call", "No token is set, and none is stored."),
    ErrorCode("INVALID_ARGUMENTS", "call", "An argument is unknown, missing or out of its limits."),
    ErrorCode(
        "WORKSPACE_REQUIRED", "call", "The account has several workspaces and none is named."
    ),
    ErrorCode(
        "RUN_NOT_FOUND",
        "call",
        "The journal of this machine has no run with this id.",
        own_step="Read layer://runs for those that were started here.",
    ),
    ErrorCode(
        "OUTPUT_NOT_FOUND",
        "call",
        "No run of the journal has an output with this id.",
        own_step="Read layer://runs, whose runs name their outputs.",
    ),
    ErrorCode(
        "PRICE_UNKNOWN", "price", "The price could not be had, which counts as above every limit."
    ),
    ErrorCode(
        "PRICE_ABOVE_MAX", "price", "The price is above the call's own max_price_creative_units."
    ),
    ErrorCode("PRICE_ABOVE_LIMIT", "price", "The price is above LAYER_MAX_PRICE."),
    ErrorCode(
        "SPENDING_LIMIT_REACHED",
        "price",
        "With this run the last 24 hours would cost more than LAYER_MAX_SPEND_PER_DAY.",
    ),
    ErrorCode(
        "CONFIRMATION_REQUIRED",
        "price",
        "The price is above LAYER_CONFIRM_ABOVE, and the host cannot show a question.",
    ),
    ErrorCode("DECLINED", "price", "The person, or a host that asks nobody, said no to the price."),
    ErrorCode("NOT_ANSWERED", "price", "The person gave no answer to the price that can be used."),
    ErrorCode(
        "INSUFFICIENT_BALANCE",
        "price",
        "The workspace does not have enough Creative Units.",
        also=("layer", "run"),
        status="402",
    ),
    ErrorCode(
        "JOURNAL_UNAVAILABLE", "journal", "The run cannot be written down, so it is not sent."
    ),
    ErrorCode(
        "SUBMISSION_UNDER_WAY",
        "journal",
        "The same run is being sent by another call at this moment.",
    ),
    ErrorCode(
        "OUTCOME_UNKNOWN",
        "journal",
        "The request went out, and nothing says whether the run exists.",
    ),
    ErrorCode("RUNS_AT_LIMIT", "journal", "As many runs are under way as Layer allows at once."),
    ErrorCode(
        "GENERATIONS_AT_LIMIT",
        "journal",
        "As many runs were started within a minute as Layer allows.",
    ),
    ErrorCode("NOT_SENT", "journal", "The run was given up before it was sent."),
    ErrorCode("CANCELLED", "journal", "The call ended before its run was sent."),
    ErrorCode("SERVER_STOPPED", "journal", "The server was told to stop before the run was sent."),
    ErrorCode(
        "FILE_NOT_FOUND",
        "file",
        "There is no such file here, or no file with this id in Layer.",
        also=("layer",),
        status="404",
    ),
    ErrorCode("NOT_A_FILE", "file", "The path is a folder or something else than a regular file."),
    ErrorCode("FILE_UNREADABLE", "file", "The file is there but cannot be read."),
    ErrorCode("FILE_EMPTY", "file", "The file has no content."),
    ErrorCode("FILE_TOO_LARGE", "file", "The file is larger than LAYER_MAX_UPLOAD_MB."),
    ErrorCode(
        "FILE_TYPE_NOT_SUPPORTED",
        "file",
        "By its content the file is no PNG, JPEG, WebP, MP4, MP3 or WAV.",
    ),
    ErrorCode("FILE_CHANGED", "file", "The file changed while it was read."),
    ErrorCode("PATH_NOT_ALLOWED", "file", "The file is outside the folders that may be read."),
    ErrorCode(
        "UPLOAD_UNFINISHED",
        "file",
        "The time of one call was up before all of the file had arrived.",
    ),
    ErrorCode("UPLOAD_FAILED", "file", "The connection to the storage host broke too often."),
    ErrorCode("UPLOAD_REFUSED", "file", "The storage host refused the file."),
    ErrorCode("UPLOAD_EXPIRED", "file", "The storage host did not accept the signed address."),
    ErrorCode(
        "CONNECTION_FAILED", "network", "No connection to Layer could be made; nothing was sent."
    ),
    ErrorCode("CONNECTION_LOST", "network", "The connection broke before the answer was complete."),
    ErrorCode("TIMEOUT", "network", "Layer did not answer in time.", also=("layer",), status="408"),
    ErrorCode(
        "TLS_FAILED", "network", "The certificate of the API or of a file host is not trusted here."
    ),
    ErrorCode("NETWORK_SETTINGS", "network", "The certificate or proxy variables cannot be used."),
    ErrorCode(
        "UNEXPECTED_REDIRECT",
        "network",
        "The API's address answers with a redirect, which is not followed.",
    ),
    ErrorCode("UNEXPECTED_RESPONSE", "network", "What answered is not Layer, or cannot be read."),
    ErrorCode(
        "HOST_NOT_ALLOWED",
        "network",
        "A file's address is on a host that is not allowed, or on a private one.",
    ),
    ErrorCode("TOO_BUSY", "network", "Too many requests are under way in this server."),
    ErrorCode("UNAUTHENTICATED", "layer", "Layer did not accept the token.", status="401"),
    ErrorCode("FORBIDDEN", "layer", "The token may not do this.", status="403"),
    ErrorCode("FEATURE_DISABLED", "layer", "The workspace does not have this feature."),
    ErrorCode(
        "USAGE_LIMIT_EXCEEDED",
        "layer",
        "The usage limit of the workspace or its member is reached.",
        also=("run",),
    ),
    ErrorCode(
        "WORKSPACE_NOT_FOUND",
        "layer",
        "The account has no workspace of this id, slug or name.",
        also=("call",),
        status="404",
    ),
    ErrorCode("MODEL_NOT_FOUND", "layer", "The workspace has no such model.", status="404"),
    ErrorCode(
        "WORKFLOW_NOT_FOUND",
        "layer",
        "The workspace has no such workflow.",
        also=("call",),
        status="404",
    ),
    ErrorCode("INFERENCE_NOT_FOUND", "layer", "The workspace has no such run.", status="404"),
    ErrorCode("WORKFLOW_RUN_NOT_FOUND", "layer", "The workflow has no such run.", status="404"),
    ErrorCode(
        "NOT_FOUND", "layer", "Layer does not know the address or an id in it.", status="404"
    ),
    ErrorCode(
        "INVALID_INPUTS", "layer", "Layer refused the inputs, and names them.", status="400, 422"
    ),
    ErrorCode(
        "RATE_LIMITED",
        "layer",
        "Layer's limit of runs at once or a minute is reached.",
        status="429",
    ),
    ErrorCode(
        "SERVICE_UNAVAILABLE", "layer", "Layer is not available for the moment.", status="503"
    ),
    ErrorCode("SERVER_ERROR", "layer", "Layer had an internal error.", status="500 and above"),
    ErrorCode(
        "REQUEST_REFUSED",
        "layer",
        "Layer refused the request with another status.",
        status="other 4xx",
    ),
    ErrorCode("NOTHING_TO_SAVE", "output", "The run has no files, or none yet."),
    ErrorCode(
        "SAVING_UNFINISHED", "output", "The time of one call was up before all files were saved."
    ),
    ErrorCode(
        "DOWNLOAD_FAILED", "output", "A file could not be fetched whole from the media host."
    ),
    ErrorCode(
        "OUTPUT_GONE", "output", "The file is not at its address any more, or Layer gave none."
    ),
    ErrorCode("OUTPUT_TOO_LARGE", "output", "The file is larger than LAYER_MAX_DOWNLOAD_MB."),
    ErrorCode("FOLDER_NOT_WRITABLE", "output", "The output folder cannot be made or written."),
    ErrorCode(
        "INVALID_FOLDER",
        "output",
        "The folder leads out of the output folder or is no name of one.",
    ),
    ErrorCode("DISK_FULL", "output", "The disk of the output folder is full."),
    ErrorCode(
        "CONTENT_POLICY_VIOLATION",
        "run",
        "The content policy of Layer or of the model refused it.",
        also=("layer",),
    ),
    ErrorCode("INPUT_GUARDRAIL_VIOLATION", "run", "A check of the inputs refused them."),
    ErrorCode("PROMPT_INTELLECTUAL_PROPERTY", "run", "The prompt names what is protected."),
    ErrorCode("NO_MEDIA_GENERATED", "run", "The model ended without an output."),
    ErrorCode(
        "RUN_FAILED",
        "run",
        "Layer says that the run failed, and gives no code.",
        own_step=OTHER_RUN_NEXT_STEP,
    ),
    ErrorCode(
        "MODEL_AMBIGUOUS",
        "terminal",
        "Several models have the name that was given.",
        own_step="Give the id of one of them.",
    ),
    ErrorCode(
        "CALL_FAILED",
        "terminal",
        "The server did not answer the command as it should.",
        own_step="Try again.",
    ),
    ErrorCode(
        "READ_FAILED",
        "server",
        "A resource could not be read because of a fault in the server.",
        own_step="Try again.",
    ),
    ErrorCode("TOOL_CRASHED", "server", "A tool failed because of a fault in the server."),
)
