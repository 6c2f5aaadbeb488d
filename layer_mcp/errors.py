"""What can go wrong with Layer: a stable code, one sentence and one next step for each.

Layer answers errors as problem+json (RFC 7807) whose `type` ends in a machine code. A 422 may
instead be FastAPI's list of refused fields, and a proxy may answer with HTML.
"""

from typing import Any

SENTENCE_LENGTH = 300

CHANGE_INPUTS = "Change the prompt or the references; the same inputs are refused again."

NEXT_STEPS = {
    "MISSING_TOKEN": "Create a Personal Access Token at app.layer.ai > Settings > Personal Access "
    "Tokens and store it with layer-mcp login; or set it as LAYER_API_KEY and start the server "
    "again.",
    "UNAUTHENTICATED": "Create a new Personal Access Token at app.layer.ai > Settings, store it "
    "with layer-mcp login or set it as LAYER_API_KEY, and start the server again.",
    "INSUFFICIENT_BALANCE": "Add Creative Units at app.layer.ai, or make fewer or smaller outputs.",
    "USAGE_LIMIT_EXCEEDED": "Ask the workspace's owner to raise the usage limit.",
    "FORBIDDEN": "Ask the workspace's owner for access, or use another workspace.",
    "FEATURE_DISABLED": "Use another model, or ask Layer to enable the feature for the workspace.",
    "WORKSPACE_NOT_FOUND": "Set workspace_id or LAYER_WORKSPACE_ID to a workspace of this account.",
    "WORKSPACE_REQUIRED": "Pass one of them as workspace_id, or set LAYER_WORKSPACE_ID.",
    "MODEL_NOT_FOUND": "Use the id of a model that this workspace has.",
    "WORKFLOW_NOT_FOUND": "Use the id of a workflow that this workspace has.",
    "WORKFLOW_RUN_NOT_FOUND": "Check run_id and workflow_id, and that workspace_id is where it was "
    "started.",
    "INFERENCE_NOT_FOUND": "Check inference_id, and that workspace_id is where it was started.",
    "NOT_FOUND": "Check the ids in the call.",
    "INVALID_INPUTS": "Correct the named argument and call again.",
    "INVALID_ARGUMENTS": "Correct the argument and call again; nothing was sent.",
    "RATE_LIMITED": "Wait for a running generation to end or for a minute, then call again.",
    "SERVICE_UNAVAILABLE": "Wait a minute, then call again.",
    "SERVER_ERROR": "Wait a minute, then call again; if it stays, ask Layer's support.",
    "CONTENT_POLICY_VIOLATION": CHANGE_INPUTS,
    "INPUT_GUARDRAIL_VIOLATION": CHANGE_INPUTS,
    "PROMPT_INTELLECTUAL_PROPERTY": "Take protected names out of the prompt; the same inputs are "
    "refused again.",
    "NO_MEDIA_GENERATED": "Change the prompt or the model; the same inputs fail again.",
    "CONNECTION_FAILED": "Check the network, the proxy and LAYER_API_URL, then call again.",
    "TLS_FAILED": "If your network uses its own certificate authority, set SSL_CERT_FILE to it.",
    "TIMEOUT": "Call again.",
    "CONNECTION_LOST": "Call again.",
    "UNEXPECTED_REDIRECT": "Set LAYER_API_URL to the final address of the API.",
    "UNEXPECTED_RESPONSE": "Check LAYER_API_URL and the proxy, then call again.",
    "OUTCOME_UNKNOWN": "Look in Layer (app.layer.ai) before trying again: the run may exist and be "
    "charged.",
    "REQUEST_REFUSED": "Correct the call; the same one is refused again.",
    "HOST_NOT_ALLOWED": "If you trust that host, add it to LAYER_MEDIA_HOSTS and start the server "
    "again.",
    "FILE_NOT_FOUND": "Check the path or the file_id; a file that is gone must be uploaded again.",
    "NOT_A_FILE": "Give the path of one file.",
    "FILE_UNREADABLE": "Check the file's permissions, or copy it to a folder that can be read.",
    "FILE_EMPTY": "Check that the file was written to the end.",
    "FILE_TOO_LARGE": "Make the file smaller, or raise LAYER_MAX_UPLOAD_MB if Layer takes more.",
    "FILE_TYPE_NOT_SUPPORTED": "Convert the file to one of these types first.",
    "FILE_CHANGED": "Wait until the file is written to the end, then call again.",
    "PATH_NOT_ALLOWED": "Use a file below those folders, or add its folder to LAYER_INPUT_DIRS and "
    "start the server again.",
    "UPLOAD_FAILED": "Check the network, then call again; it goes on from what arrived.",
    "UPLOAD_UNFINISHED": "Call again with the same path; it goes on from what arrived.",
    "UPLOAD_REFUSED": "Check that Layer takes files of this type and size, then call again.",
    "UPLOAD_EXPIRED": "Check this machine's clock, then call again.",
    "DOWNLOAD_FAILED": "Call again; the run and its files stay as they are.",
    "OUTPUT_GONE": "Look at the run in Layer; the file is not at its address any more.",
    "OUTPUT_TOO_LARGE": "Raise LAYER_MAX_DOWNLOAD_MB, or fetch the file from its URL.",
    "DISK_FULL": "Free some space, or set LAYER_OUTPUT_DIR to another disk; then save again.",
    "FOLDER_NOT_WRITABLE": "Set LAYER_OUTPUT_DIR to a folder that can be written, and start the "
    "server again.",
    "INVALID_FOLDER": "Give a folder below the output folder, such as icons or icons/potions.",
    "SAVING_UNFINISHED": "Call save_outputs again: what is saved stays. If one file never fits, "
    "raise LAYER_MAX_WAIT_SECONDS or fetch it from its URL.",
    "NOTHING_TO_SAVE": "Wait for the run until it has ended, then call again.",
    "TOO_BUSY": "Wait a few seconds, then call again.",
    "NETWORK_SETTINGS": "Correct SSL_CERT_FILE, SSL_CERT_DIR or the proxy variables, and start the "
    "server again.",
    "JOURNAL_UNAVAILABLE": "Make that folder writable or set LAYER_STATE_DIR, and start the server "
    "again.",
    "PRICE_UNKNOWN": "Call again in a minute; nothing was sent.",
    "PRICE_ABOVE_MAX": "Make it cheaper, or ask the user; after a yes call again with a higher "
    "max_price_creative_units.",
    "PRICE_ABOVE_LIMIT": "Make it cheaper. Only the user can raise the limit, by a setting.",
    "SPENDING_LIMIT_REACHED": "Wait, or make it cheaper. Only the user can raise the limit, by a "
    "setting.",
    "CONFIRMATION_REQUIRED": "Ask the user first.",
    "DECLINED": "Do not send it again unless the user asks for it.",
    "NOT_ANSWERED": "Tell the user the price and call again when they are there to answer. Where "
    "nobody is asked, only the server's settings decide (LAYER_CONFIRM_ABOVE).",
    "SUBMISSION_UNDER_WAY": "Call list_runs for its id; do not send it again.",
    "NOT_SENT": "Call again if it is still wanted; nothing was sent.",
    "CANCELLED": "Call again if it is still wanted; nothing was sent.",
    "RUNS_AT_LIMIT": "Wait for one to end with list_runs and wait_for any, then call again.",
    "GENERATIONS_AT_LIMIT": "Call again in a minute; nothing was sent.",
    "SERVER_STOPPED": "Call again; it was not sent.",
    "TOOL_CRASHED": "Look in Layer before trying again, and report this with the server's log.",
}

# What a failed run asks for; its code may be one that a failed call has too.
RUN_NEXT_STEPS = {
    code: NEXT_STEPS[code]
    for code in (
        "INSUFFICIENT_BALANCE",
        "USAGE_LIMIT_EXCEEDED",
        "CONTENT_POLICY_VIOLATION",
        "INPUT_GUARDRAIL_VIOLATION",
        "PROMPT_INTELLECTUAL_PROPERTY",
        "NO_MEDIA_GENERATED",
    )
}
OTHER_RUN_NEXT_STEP = "Change the inputs or the model before a new run; it is charged anew."

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


class LayerError(Exception):
    """A call that failed: a stable `code`, one sentence, one next step.

    `inference_id`, or `run_id` for a workflow, is set whenever the run is known, so that it is
    never lost. `transient` says that the same read may succeed later. `facts` are more for a
    caller to act on, as plain JSON.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        next_step: str | None = None,
        inference_id: str | None = None,
        run_id: str | None = None,
        transient: bool = False,
        retry_after_seconds: float | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.next_step = next_step or next_step_for(code)
        self.inference_id = inference_id
        self.run_id = run_id
        self.transient = transient
        self.retry_after_seconds = retry_after_seconds
        self.facts = facts or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.next_step}"


def next_step_for(code: str, status: int | None = None) -> str:
    """The one next step of a code; codes that Layer adds later get that of their family."""
    if code in NEXT_STEPS:
        return NEXT_STEPS[code]
    if code.endswith("_NOT_FOUND"):
        return NEXT_STEPS["NOT_FOUND"]
    if status in CODE_BY_STATUS:
        return NEXT_STEPS[CODE_BY_STATUS[status]]
    return NEXT_STEPS["SERVER_ERROR" if (status or 0) >= 500 else "REQUEST_REFUSED"]


def next_step_for_run(code: str) -> str:
    """The one next step after a run that failed with this code."""
    return RUN_NEXT_STEPS.get(code, OTHER_RUN_NEXT_STEP)


def one_sentence(text: str) -> str:
    """Foreign text as one line of bounded length that ends in a full stop."""
    line = " ".join(text.split())
    if len(line) > SENTENCE_LENGTH:
        line = line[: SENTENCE_LENGTH - 3].rstrip() + "..."
    return line if line.endswith((".", "!", "?")) or not line else line + "."
