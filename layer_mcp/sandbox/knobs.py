"""What changes how the sandbox behaves: its operations' names, their faults, and the knobs."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

MAX_UPLOAD_BYTES = 64 * 1024 * 1024

Operation = Literal[
    "list_workspaces",
    "get_workspace",
    "list_models",
    "get_model",
    "estimate_price",
    "execute_inference",
    "get_inference",
    "request_upload_url",
    "start_upload",
    "upload",
    "upload_status",
    "media",
    "preview",
    "list_workflows",
    "estimate_workflow",
    "execute_workflow",
    "get_workflow_run",
]


Effect = Literal["drop", "cut", "truncate", "html", "status", "slow"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    `drop` closes the connection without an answer, `cut` in the middle of the body, `truncate`
    ends the body early, `html` answers with a web page, `status` with problem+json, `slow` only
    delays. With `accepted` the work is done all the same; `cut` and `truncate` imply it.
    `unread` goes with a `drop`: the connection closes before the body of the request is read.
    `after_bytes` goes with the `drop` of an `upload`: so many bytes of that request still count
    as received, and the rest does not arrive.
    """

    effect: Effect
    accepted: bool = False
    unread: bool = False
    status: int = 500
    code: str = "INTERNAL_ERROR"
    detail: str = "Something broke."
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay_seconds: float = 0.0
    after_bytes: int | None = None

    @property
    def works(self) -> bool:
        """Whether the work is done in spite of the fault."""
        return self.accepted or self.after_bytes is not None or self.effect in ("cut", "truncate")


@dataclass
class Knobs:
    """How fast and how well the sandbox works.

    `faults` holds for each operation what happens to its next requests, one fault each.
    `status_spelling` maps a status to the word that is sent instead. An estimate whose body names
    `guidance_files` or `mask` is refused or priced without them, whatever their value, with
    `estimate_refuses_references` and `estimate_ignores_references`. A run costs
    `actual_price_factor` times its estimate. Without `output_urls` an output has no address at all.
    """

    run_seconds: float = 4.0
    poll_interval_seconds: int = 1
    max_runs_at_once: int = 5
    max_runs_a_minute: int = 60
    max_video_runs_a_minute: int = 30
    run_error: tuple[str, str] | None = None
    status_spelling: dict[str, str] = field(default_factory=dict[str, str])
    validation_style: Literal["problem", "fields"] = "problem"
    estimate_refuses_references: bool = False
    estimate_ignores_references: bool = False
    actual_price_factor: float = 1.0
    previews: bool = True
    output_urls: bool = True
    upload_url_seconds: float = 900.0
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    faults: dict[Operation, deque[Fault]] = field(default_factory=dict[Operation, deque[Fault]])

    def fail_next(self, operation: Operation, *faults: Fault) -> None:
        """Line up faults for the next requests of an operation.

        Raises:
            ValueError: `after_bytes` stands with anything but the drop of an upload, or `unread`
                with anything but a drop without work.
        """
        for fault in faults:
            if fault.after_bytes is not None and (operation, fault.effect) != ("upload", "drop"):
                raise ValueError("after_bytes goes with the drop of an upload.")
            if fault.unread and (fault.effect != "drop" or fault.works):
                raise ValueError("unread goes with a drop that does no work.")
        self.faults.setdefault(operation, deque()).extend(faults)
