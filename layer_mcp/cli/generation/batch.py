"""layer-mcp generate --from: many runs, priced and approved as a whole."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import anyio

from ...api.polling import STOPPED_STATUSES
from ...errors import LayerError
from ...files.paths import output_folder
from ...runs.rules.duplicates import duplicate_error
from ...runs.service import Runs
from ...runs.types.filters import RunFilter
from ...runs.types.plan import Plan
from ...runs.types.run import Run
from ...runs.types.states import NOT_SENT, UNKNOWN
from ...runs.views import SIMULATED_LINE, count_noun, run_as_json
from ...schema import JsonObject
from ...settings import Settings
from ..parser import EXIT_FAILED, EXIT_OK
from ..reporting import with_runs
from ..run_view import RunView, Submission, command_line, finish_run, list_run, read_run
from ..screen.output import ProgressBar, Screen, line, plain, progress_bar
from .batch_file import MAX_REQUESTS
from .planning import ask_person, make_plan

WAITING_FOR_ANSWERS = (
    "Some requests were sent. Waiting for Layer's answers to record the runs. To stop waiting, "
    "press Ctrl+C again."
)
PAUSE_SECONDS = 0.5
# Longer than any batch takes.
WAIT_SECONDS = 7 * 86_400
FAILED_STATES = STOPPED_STATUSES | {"failed", NOT_SENT, UNKNOWN}


def generate_batch(
    requests: Sequence[JsonObject],
    submission: Submission,
    options: argparse.Namespace,
    settings: Settings,
    screen: Screen,
) -> int:
    """Start a run for each request, wait for all, and save their files.

    Raises:
        LayerError: nothing was started.
    """
    # Files are saved as soon as their run has ended.
    settings = replace(settings, output_dir=f"{output_folder(settings)}")
    with progress_bar(screen.stderr) as bar:

        async def work(runs: Runs) -> list[RunView]:
            plan = await make_plan(runs, requests, options, bar)
            agreed = await ask_person(runs, plan, options, screen, bar)
            submission.may_be_sent = True
            bar.start_phase("starting the runs")
            started = await runs.submit_batch(plan, approved=agreed)
            new = [run for run in started if not run.is_duplicate]
            if new:
                submission.batch_id = new[0].batch_id
                with bar.pause():
                    screen.note(_describe_start(new, plan))
            if options.no_wait:
                started = await _wait_until_sent(runs, started)
                return [RunView(run, settings.sandbox) for run in started]
            ended = await _wait_until_ended(runs, started, bar)
            return [await finish_run(runs, run, bar, preview=False) for run in ended]

        views = with_runs(settings, work, on_wait=lambda: screen.note(WAITING_FOR_ANSWERS))
    if options.json:
        content = {"runs": [run_as_json(view.run, view.files) for view in views]}
        screen.show_json(content, is_simulated=settings.sandbox)
    elif options.no_wait:
        screen.show(*(line(plain(view.run.run_id)) for view in views if view.run.run_id))
    else:
        for view in views:
            screen.show(*list_run(replace(view, is_simulated=False)))
    _note_totals(views, screen)
    if submission.batch_id is not None:
        command = command_line(["runs", "--batch", submission.batch_id], options)
        screen.note(f"To list them again: {command}")
    if settings.sandbox:
        screen.note(SIMULATED_LINE)
    return EXIT_FAILED if any(map(_is_failed, views)) else EXIT_OK


def _describe_start(new: Sequence[Run], plan: Plan) -> str:
    total = plan.quote.total if plan.quote else None
    price = f" Estimated price {total:g} CU." if total is not None else ""
    return f"Started batch {new[0].batch_id} of {count_noun(len(new), 'run')}.{price}"


async def _wait_until_sent(runs: Runs, started: Sequence[Run]) -> list[Run]:
    """Return the runs of a batch once none of them is waiting to be sent."""
    while True:
        current = await _reload(runs, started)
        if not any(run.is_being_sent for run in current if not run.is_duplicate):
            return current
        await anyio.sleep(PAUSE_SECONDS)


async def _wait_until_ended(runs: Runs, started: Sequence[Run], bar: ProgressBar) -> list[Run]:
    bar.start_phase("waiting for the runs")

    async def report(ended: int, total: int) -> None:
        bar.update(ended, total, f"{ended} of {count_noun(total, 'run')} ended")

    for batch_id in {run.batch_id for run in started if run.batch_id and not run.is_duplicate}:
        await runs.wait_many(RunFilter(batch_id=batch_id), "all", WAIT_SECONDS, on_ended=report)
    return [await _wait_for(runs, run, bar) for run in await _reload(runs, started)]


async def _wait_for(runs: Runs, run: Run, bar: ProgressBar) -> Run:
    """Wait for a run that an earlier command started; a failure becomes a warning."""
    if not run.is_running or run.run_id is None:
        return run
    try:
        ended = await read_run(runs, run.run_id, bar, wait=True)
    except LayerError as error:
        return run.with_warnings(error.message)
    return replace(ended, is_duplicate=run.is_duplicate, warnings=run.warnings)


async def _reload(runs: Runs, started: Sequence[Run]) -> list[Run]:
    """Reload the runs of a batch from the journal."""
    known: dict[str, Run] = {}
    for batch_id in {run.batch_id for run in started if run.batch_id}:
        listed = await runs.list(RunFilter(batch_id=batch_id), MAX_REQUESTS)
        known |= {run.key: run for run in listed}
    return [
        replace(known.get(run.key, run), is_duplicate=run.is_duplicate, warnings=run.warnings)
        for run in started
    ]


def _is_failed(view: RunView) -> bool:
    run = view.run
    is_unsaved = run.state == "complete" and bool(run.outputs) and not view.files.has_all_of(run)
    return run.state in FAILED_STATES or is_unsaved or duplicate_error(run) is not None


def _note_totals(views: Sequence[RunView], screen: Screen) -> None:
    runs = [view.run for view in views]
    counts = Counter(run.state for run in runs)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    prices = [run.actual_price_creative_units for run in runs if not run.is_duplicate]
    spent = sum(price for price in prices if price is not None)
    screen.note(f"{count_noun(len(runs), 'run')}: {states}. {spent:g} CU spent.")
