"""Settings that change how the sandbox behaves, and the faults of single requests."""

import threading
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
    """A failure of one request.

    `drop` closes the connection without a response, `cut` closes it in the middle of the body,
    `truncate` ends the body early, `html` responds with a web page, `status` responds with
    problem+json, and `slow` only adds a delay: of `delay_seconds`, or until the event `held_until`
    is set. With `accepted` the request is processed anyway; `cut` and `truncate` imply it. `unread`
    is for a `drop`: the connection closes before the request's body is read. `after_bytes` is for a
    `drop` of an `upload`: that many bytes of the request count as received, and the rest is lost.
    """

    effect: Effect
    accepted: bool = False
    unread: bool = False
    status: int = 500
    code: str = "INTERNAL_ERROR"
    detail: str = "Something broke."
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay_seconds: float = 0.0
    held_until: threading.Event | None = None
    after_bytes: int | None = None

    @property
    def is_processed(self) -> bool:
        """Return whether the request is processed despite the fault."""
        return self.accepted or self.after_bytes is not None or self.effect in ("cut", "truncate")


@dataclass
class Knobs:
    """How fast and how reliably the sandbox works.

    `faults` holds the faults of each operation's next requests, one fault per request.
    `status_spelling` maps a status to the word that is sent instead. With
    `estimate_refuses_references` or `estimate_ignores_references`, an estimate whose body has
    `guidance_files` or `mask` is refused or priced without them, even if they're empty. A run costs
    `actual_price_factor` times its estimate. Without `output_urls`, outputs have no URL.
    `declared_type` is the media type declared for outputs, regardless of their content. Files are
    sent at `media_bytes_a_second`, and always from the start without `media_ranges`. Changing
    `media_version` changes the version of every file.
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
    declared_type: str | None = None
    media_bytes_a_second: float | None = None
    media_ranges: bool = True
    media_version: int = 1
    upload_url_seconds: float = 900.0
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    faults: dict[Operation, deque[Fault]] = field(default_factory=dict[Operation, deque[Fault]])

    def fail_next(self, operation: Operation, *faults: Fault) -> None:
        """Queue faults for the next requests of an operation.

        Raises:
            ValueError: `after_bytes` is set on anything but a drop of an upload, or `unread` on
                anything but a drop that isn't processed.
        """
        for fault in faults:
            if fault.after_bytes is not None and (operation, fault.effect) != ("upload", "drop"):
                raise ValueError("after_bytes is only for a drop of an upload.")
            if fault.unread and (fault.effect != "drop" or fault.is_processed):
                raise ValueError("unread is only for a drop that isn't processed.")
        self.faults.setdefault(operation, deque()).extend(faults)
