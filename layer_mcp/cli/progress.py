"""A bar that shows how far a call is, on stderr; nothing where there is no terminal."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

BAR_COLUMNS = 30


class ProgressBar:
    """One bar. Without a known end it only moves, and the time beside it counts."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def phase(self, text: str) -> None:
        """Begin something of which the end is not known."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(text, total=None)

    def told(self, done: float, total: float | None, text: str) -> None:
        """Show how much is done."""
        self._progress.update(self._task, completed=done, total=total, description=text)

    def uploaded(self, share: float, _total: float | None, text: str) -> None:
        """Show how much of the local files has gone out, which is the first unit of a call."""
        self.told(share, 1.0, text)

    @contextmanager
    def hidden(self) -> Generator[None]:
        """Leave the terminal to somebody else for a while."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()


@contextmanager
def progress_bar(console: Console) -> Generator[ProgressBar]:
    """A bar that is gone when the block ends."""
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
