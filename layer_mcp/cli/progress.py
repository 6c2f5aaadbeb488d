"""The progress bar of a command on stderr, drawn only at a terminal."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

BAR_COLUMNS = 30


class ProgressBar:
    """One bar with the elapsed time; it only moves back and forth while the end is unknown."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def start_phase(self, text: str) -> None:
        """Start something with an unknown end."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(text, total=None)

    def update(self, done: float, total: float | None, text: str) -> None:
        """Show how much is done."""
        self._progress.update(self._task, completed=done, total=total, description=text)

    def update_upload(self, share: float, _total: float | None, text: str) -> None:
        """Show the uploaded share of the local files, the first of a call's units of progress."""
        self.update(share, 1.0, text)

    @contextmanager
    def pause(self) -> Generator[None]:
        """Hide the bar while the block prints or asks."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()


@contextmanager
def progress_bar(console: Console) -> Generator[ProgressBar]:
    """Show a bar until the block ends."""
    progress = Progress(
        BarColumn(BAR_COLUMNS),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal or console.is_dumb_terminal,
    )
    with progress:
        yield ProgressBar(progress)
