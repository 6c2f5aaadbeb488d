"""What the commands for people share: settings, the answer's form, what is said of a failure."""

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Generator
from pathlib import Path

from ..errors import LayerError
from ..network import is_loopback
from ..paths import output_folder
from ..settings import TOOLSETS, Settings, SettingsError
from .connection import NO_HOST_LIMIT_SECONDS, RefusedError, refusal
from .next_steps import failure_in_words
from .options import use_option_names
from .output import Screen, discard_stdout, log_to_stderr, open_screen
from .parser import EXIT_FAILED, EXIT_USAGE
from .sandbox import own_sandbox

OWN_SANDBOX = (
    "With --sandbox each command has a simulated Layer of its own, which ends with it. To keep "
    "one, start layer-mcp sandbox and set what it prints."
)
CORRECT_STEP = "Correct it and try again; nothing was sent."
LOOK_STEP = "layer-mcp runs shows what was started, and its files."

Run = Callable[[argparse.Namespace, Settings, Screen], int]


def reporting(run: Run, options: argparse.Namespace) -> int:
    """Run a command; a failure is a line for people or an object for programs.

    Raises:
        SettingsError: a setting or an argument that cannot be used, and people are told.
        KeyboardInterrupt: the person ended it.
    """
    screen = open_screen()
    try:
        return _answered(run, options, screen)
    except SettingsError as error:
        if not options.json:
            raise
        screen.show_json(refusal("INVALID_ARGUMENTS", str(error), CORRECT_STEP).content)
        return EXIT_USAGE
    except BrokenPipeError:
        raise
    except OSError as error:
        # Only what writes to an open stream fails without the name of a file.
        if error.filename is not None:
            raise
        discard_stdout()
        screen.note(f"layer-mcp: The answer cannot be written: {error.strerror}. {LOOK_STEP}")
        return EXIT_FAILED


def _answered(run: Run, options: argparse.Namespace, screen: Screen) -> int:
    with _settings(options) as settings:
        try:
            return run(options, settings, screen)
        except LayerError as error:
            failure = refusal(error.code, error.message, error.next_step)
        except RefusedError as error:
            failure = error
        if options.json:
            screen.show_json(failure.content)
        else:
            said = failure_in_words(failure.content, failure.step_for_people)
            # A step of a command's own is to be copied, with folders in it.
            said = said if failure.step_for_people else use_option_names(said)
            screen.note(f"layer-mcp: {said}")
        if options.has_own_sandbox and failure.code == "INFERENCE_NOT_FOUND":
            screen.note(OWN_SANDBOX)
        return EXIT_FAILED


def homebound(settings: Settings, folder: str | Path | None) -> Settings:
    """The settings with a folder that finished runs are saved to by themselves.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE, when none is named and there is no home.
    """
    chosen = dataclasses.replace(
        settings, output_dir=str(folder) if folder else settings.output_dir
    )
    return dataclasses.replace(chosen, output_dir=str(output_folder(chosen)))


@contextlib.contextmanager
def _settings(options: argparse.Namespace) -> Generator[Settings]:
    settings = Settings.from_env()
    log_to_stderr(settings.log_level)
    settings = dataclasses.replace(
        settings,
        sandbox=settings.sandbox or options.sandbox,
        workspace=options.workspace or settings.workspace,
        # A person has every tool, and no host that gives up on a call.
        toolsets=TOOLSETS,
        max_wait_seconds=NO_HOST_LIMIT_SECONDS,
    )
    options.has_own_sandbox = settings.sandbox and not is_loopback(settings.api_url)
    with own_sandbox(settings) as effective:
        yield effective
