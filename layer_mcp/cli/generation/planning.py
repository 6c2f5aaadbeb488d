"""Plan a command's runs, and ask the person about the price."""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from ...arguments import parse_arguments
from ...errors import LayerError
from ...files.local_files import MEGABYTE
from ...files.paths import Folders, find_write_problem, output_folder
from ...runs.drafts import InferenceDraft
from ...runs.rules.prices import check_answer
from ...runs.service import Runs
from ...runs.types.budget import CallBudget
from ...runs.types.plan import Plan, SubmitOptions
from ...runs.uploads import OnUpload
from ...runs.views import describe_confirmation
from ...schema import JsonObject, portable_schema
from ...settings import Settings
from ..models import find_model_id
from ..parser import UsageError
from ..reporting import InterruptedWorkError
from ..screen.output import ProgressBar, Screen, ask_yes_or_no
from .options import allow_named_files

# There's no host that could time out on a person's command.
CALL_LIMIT_SECONDS = 3600


def check_output_folder(settings: Settings, options: argparse.Namespace) -> Settings:
    """Return the settings for a generation, after checking that the output folder is writable.

    Raises:
        UsageError: it isn't writable; nothing was paid for.
    """
    settings = replace(settings, output_dir=options.out or settings.output_dir)
    settings = allow_named_files(settings, options)
    folder = output_folder(settings)
    problem = find_write_problem(folder, Folders.pin(settings).private())
    if problem is not None:
        raise UsageError(f"Can't save files in {folder}: {problem}. Use --out to choose another.")
    return settings


async def make_drafts(
    runs: Runs, requests: Sequence[JsonObject], bar: ProgressBar
) -> list[InferenceDraft]:
    """Convert requests to drafts, and look up the IDs of their models.

    Raises:
        LayerError: an argument is invalid, or no model has this name.
    """
    bar.start_phase("looking up the model")
    ids: dict[str, str] = {}
    drafts: list[InferenceDraft] = []
    for number, request in enumerate(requests, 1):
        try:
            name = request["model_id"]
            if name not in ids:
                ids[name] = await find_model_id(runs.client, name)
            arguments = request | {"model_id": ids[name]}
            drafts.append(
                parse_arguments(InferenceDraft, portable_schema(InferenceDraft), arguments)
            )
        except LayerError as error:
            if len(requests) > 1:
                error.parts = (f"request {number}: ", *error.parts)
            raise
    return drafts


async def make_plan(
    runs: Runs, requests: Sequence[JsonObject], options: argparse.Namespace, bar: ProgressBar
) -> Plan:
    """Return what would start, with its price.

    Raises:
        LayerError: a request is invalid, or a limit doesn't allow the price.
    """
    drafts = await make_drafts(runs, requests, bar)
    bar.start_phase("asking for the price")
    return await runs.prepare(
        drafts,
        SubmitOptions(options.max_price, options.repeat, is_batch=options.file is not None),
        CallBudget.begin(CALL_LIMIT_SECONDS),
        on_upload=report_upload(bar),
    )


async def ask_person(
    runs: Runs, plan: Plan, options: argparse.Namespace, screen: Screen, bar: ProgressBar
) -> bool:
    """Ask about the price if it needs approval; return False if nobody was asked.

    Raises:
        LayerError: a limit doesn't allow the price, or the person didn't approve it.
    """
    # --max-price already approves the price.
    can_ask = screen.can_ask and options.max_price is None
    confirmation = await runs.confirmation(plan, names=can_ask)
    if confirmation is None or not can_ask:
        return False
    try:
        with bar.pause():
            agreed = ask_yes_or_no(describe_confirmation(confirmation))
    except KeyboardInterrupt as interrupt:
        raise InterruptedWorkError(interrupt) from None
    check_answer(agreed)
    return True


def report_upload(bar: ProgressBar) -> OnUpload:
    """Return a callback that shows upload progress on a bar."""

    async def report(sent_bytes: int, total_bytes: int) -> None:
        sizes = f"{sent_bytes / MEGABYTE:.1f} of {total_bytes / MEGABYTE:.1f} MB"
        bar.update(sent_bytes, total_bytes, f"{sizes} sent")

    return report
