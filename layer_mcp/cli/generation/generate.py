"""layer-mcp generate and price: generate files from a prompt, or show what they would cost."""

import argparse
from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from ...api.models import PriceEstimate
from ...errors import LayerError
from ...next_steps import add_units
from ...runs.service import Runs
from ...runs.types.run import Run
from ...runs.views import SIMULATED_LINE, count_noun, describe_estimate, estimate_as_json
from ...settings import Settings
from ..parser import EXIT_OK
from ..reporting import with_runs
from ..run_view import (
    RunView,
    Submission,
    describe_start,
    explain_interrupt,
    finish_run,
    how_to_come_back,
    read_run,
    show_run,
)
from ..screen.images import choose_image_display
from ..screen.output import ProgressBar, Screen, line, plain, progress_bar
from .batch import generate_batch
from .options import allow_named_files, read_requests
from .planning import (
    ask_person,
    check_output_folder,
    make_drafts,
    make_plan,
)

WAITING_FOR_ANSWER = (
    "The request was sent. Waiting for Layer's answer to record the run. To stop waiting, press "
    "Ctrl+C again."
)


def generate(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Start a run, or a batch of them, wait, and save the files.

    Raises:
        UsageError: the options do not make a request.
        LayerError: nothing was started, or the run can't be waited for.
    """
    requests = read_requests(options, settings)
    settings = check_output_folder(settings, options)
    submission = Submission()
    if options.file is not None:
        with explain_interrupt(submission, screen, options):
            return generate_batch(requests, submission, options, settings, screen)
    shows_pictures = not options.json and not options.no_wait
    pictures = choose_image_display(options.picture if shows_pictures else "never")
    with explain_interrupt(submission, screen, options), progress_bar(screen.stderr) as bar:

        async def work(runs: Runs) -> RunView:
            plan = await make_plan(runs, requests, options, bar)
            agreed = await ask_person(runs, plan, options, screen, bar)
            submission.may_be_sent = True
            run = await runs.submit(plan, approved=agreed)
            submission.run_id = run.run_id
            if options.no_wait and not options.json:
                return RunView(run, settings.sandbox)
            # The response to a submission may lack the outputs of a run that has already ended.
            run = await runs.follow(run, 0)
            if not run.has_ended:
                with bar.pause():
                    screen.note(describe_start(run, is_simulated=settings.sandbox))
                if not options.no_wait:
                    run = await _wait(runs, run, options, bar)
            return await finish_run(runs, run, bar, preview=pictures.is_enabled)

        view = with_runs(settings, work, on_wait=lambda: screen.note(WAITING_FOR_ANSWER))
    if options.no_wait and not options.json:
        screen.note(describe_start(view.run, is_simulated=settings.sandbox))
        screen.show(line(plain(view.run.run_id)))
        if not view.run.has_ended:
            screen.note(how_to_come_back(view.run.run_id, options))
        return EXIT_OK
    return show_run(view, screen, pictures, options)


def show_price(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Show the price of a run or a batch; local references count if they were uploaded before.

    Raises:
        UsageError: the options do not make a request.
        LayerError: Layer gives no price.
    """
    requests = read_requests(options, settings)
    with progress_bar(screen.stderr) as bar:

        async def work(runs: Runs) -> list[PriceEstimate]:
            drafts = await make_drafts(runs, requests, bar)
            bar.start_phase("asking for the price")
            return [await runs.estimate(draft) for draft in drafts]

        estimates = with_runs(allow_named_files(settings, options), work)
    estimate = _add_up(estimates)
    if options.json:
        screen.show_json(estimate_as_json(estimate), is_simulated=settings.sandbox)
    else:
        if len(estimates) > 1:
            screen.note(f"{count_noun(len(estimates), 'run')} in total:")
        screen.show(*_price_lines(estimate, settings))
    return EXIT_OK


def _add_up(estimates: Sequence[PriceEstimate]) -> PriceEstimate:
    """Return the total price of all runs."""
    first = estimates[0]
    if len(estimates) == 1:
        return first
    total = sum(one.estimated_price_creative_units for one in estimates)
    balance = first.workspace_balance_creative_units
    return PriceEstimate(
        estimated_price_creative_units=total,
        workspace_balance_creative_units=balance,
        estimated_remaining_balance_creative_units=None if balance is None else balance - total,
        has_sufficient_creative_units=None if balance is None else balance >= total,
        references_refused=next((one.references_refused for one in estimates), None),
        remarks=tuple(dict.fromkeys(remark for one in estimates for remark in one.remarks)),
    )


def _price_lines(estimate: PriceEstimate, settings: Settings) -> Iterator[RenderableType]:
    for fact in describe_estimate(estimate_as_json(estimate)):
        yield line(plain(fact))
    if estimate.has_sufficient_creative_units is False:
        yield line(add_units(estimate), "yellow")
    elif estimate.estimated_price_creative_units > settings.confirm_above:
        yield line(f"Above {settings.confirm_above:g} CU, generate asks first.")
    if settings.sandbox:
        yield line(SIMULATED_LINE)


async def _wait(runs: Runs, run: Run, options: argparse.Namespace, bar: ProgressBar) -> Run:
    try:
        return await read_run(runs, run.run_id or "", bar, wait=True)
    except LayerError as error:
        error.person_step = how_to_come_back(run.run_id, options)
        raise
