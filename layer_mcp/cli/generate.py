"""layer-mcp generate and price: from a prompt to files, and what they would cost."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rich.console import RenderableType

from ..api.models import PriceEstimate
from ..arguments import parse_arguments
from ..errors import LayerError
from ..files.media_files import MEGABYTE
from ..files.paths import Folders, find_write_problem, output_folder
from ..next_steps import SAME_GENERATION, after_price
from ..runs.references import InferenceDraft, OnUpload
from ..runs.rules import check_answer
from ..runs.service import Runs
from ..runs.types import CallBudget, Plan, Run, SubmitOptions
from ..runs.views import (
    SIMULATED_LINE,
    describe_confirmation,
    describe_estimate,
    estimate_as_json,
)
from ..schema import portable_schema
from ..settings import Settings
from .images import choose_image_display
from .models import find_model_id
from .options import allow_named_files, read_request
from .output import ProgressBar, Screen, ask_yes_or_no, line, plain, progress_bar
from .parser import EXIT_OK, UsageError
from .reporting import InterruptedWorkError, with_runs
from .run_view import (
    RunView,
    Submission,
    describe_start,
    explain_interrupt,
    finish_run,
    how_to_come_back,
    read_run,
    show_run,
)

# No host gives up on a person's command.
CALL_LIMIT_SECONDS = 3600
WAITING_FOR_ANSWER = (
    "The request was sent. Waiting for Layer's answer to record the run. To stop waiting, press "
    "Ctrl+C again."
)


def generate(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Start a run, wait for it, and save its files.

    Raises:
        UsageError: the options do not make a request.
        LayerError: the run wasn't started, or can't be waited for.
    """
    request = read_request(options)
    settings = replace(settings, output_dir=options.out or settings.output_dir)
    settings = allow_named_files(settings, options)
    _check_writable(settings)
    shows_pictures = not options.json and not options.no_wait
    pictures = choose_image_display(options.picture if shows_pictures else "never")
    submission = Submission()
    with explain_interrupt(submission, screen, options), progress_bar(screen.stderr) as bar:

        async def work(runs: Runs) -> RunView:
            plan = await _prepare(runs, request, options, bar)
            agreed = await _ask_person(runs, plan, options, screen, bar)
            submission.may_be_sent = True
            run = await runs.submit(plan, approved=agreed)
            submission.run_id = run.run_id
            # The answer to a submission may lack what a run that has ended already made.
            run = await runs.follow(run, 0)
            if not run.has_ended:
                with bar.pause():
                    screen.note(describe_start(run, is_simulated=settings.sandbox))
                if not options.no_wait:
                    run = await _wait(runs, run, options, bar)
            return await finish_run(runs, run, bar, preview=pictures.is_enabled)

        view = with_runs(settings, work, on_wait=lambda: screen.note(WAITING_FOR_ANSWER))
    if options.no_wait and not options.json and not view.run.has_ended:
        screen.show(line(plain(view.run.run_id)))
        screen.note(how_to_come_back(view.run.run_id, options))
        return EXIT_OK
    return show_run(view, screen, pictures, options)


def show_price(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Show the price of a run; references are uploaded, so that they count.

    Raises:
        UsageError: the options do not make a request.
        LayerError: Layer gives no price.
    """
    request = read_request(options)
    with progress_bar(screen.stderr) as bar:

        async def work(runs: Runs) -> PriceEstimate:
            draft = await _make_draft(runs, request, options, bar)
            budget = CallBudget.begin(CALL_LIMIT_SECONDS)
            return await runs.estimate(draft, budget, on_upload=_report_upload(bar))

        estimate = with_runs(allow_named_files(settings, options), work)
    next_step = after_price(estimate, SAME_GENERATION, settings.confirm_above)
    if options.json:
        content = estimate_as_json(estimate) | {"next_step": next_step}
        screen.show_json(content, is_simulated=settings.sandbox)
    else:
        screen.show(*_price_lines(estimate, next_step, settings))
    return EXIT_OK


def _price_lines(
    estimate: PriceEstimate, next_step: str, settings: Settings
) -> Iterator[RenderableType]:
    for fact in describe_estimate(estimate_as_json(estimate)):
        yield line(plain(fact))
    if estimate.has_sufficient_creative_units is False:
        yield line(plain(next_step), "yellow")
    elif estimate.estimated_price_creative_units > settings.confirm_above:
        yield line(f"Above {settings.confirm_above:g} CU generate asks first.")
    if settings.sandbox:
        yield line(SIMULATED_LINE)


def _check_writable(settings: Settings) -> None:
    """Make sure of the output folder before anything is paid for."""
    folder = output_folder(settings)
    problem = find_write_problem(folder, Folders.pin(settings).private())
    if problem is not None:
        raise UsageError(f"Nothing can be saved in {folder}: {problem}. Name another with --out.")


async def _make_draft(
    runs: Runs, request: dict[str, Any], options: argparse.Namespace, bar: ProgressBar
) -> InferenceDraft:
    model_id = await find_model_id(runs.client, options.model)
    bar.start_phase("asking for the price")
    arguments = request | {"model_id": model_id}
    return parse_arguments(InferenceDraft, portable_schema(InferenceDraft), arguments)


async def _prepare(
    runs: Runs, request: dict[str, Any], options: argparse.Namespace, bar: ProgressBar
) -> Plan:
    draft = await _make_draft(runs, request, options, bar)
    return await runs.prepare(
        [draft],
        SubmitOptions(options.max_price, options.repeat),
        CallBudget.begin(CALL_LIMIT_SECONDS),
        on_upload=_report_upload(bar),
    )


async def _ask_person(
    runs: Runs, plan: Plan, options: argparse.Namespace, screen: Screen, bar: ProgressBar
) -> bool:
    """Ask about the price if it needs approval; return False if nobody was asked.

    Raises:
        LayerError: a limit doesn't allow the price, or the person didn't say yes.
    """
    # --max-price has agreed to the price already.
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


async def _wait(runs: Runs, run: Run, options: argparse.Namespace, bar: ProgressBar) -> Run:
    try:
        return await read_run(runs, run.run_id or "", bar, wait=True)
    except LayerError as error:
        error.person_step = how_to_come_back(run.run_id, options)
        raise


def _report_upload(bar: ProgressBar) -> OnUpload:
    async def report(sent_bytes: int, total_bytes: int) -> None:
        sizes = f"{sent_bytes / MEGABYTE:.1f} of {total_bytes / MEGABYTE:.1f} MB"
        bar.update(sent_bytes, total_bytes, f"{sizes} sent")

    return report
