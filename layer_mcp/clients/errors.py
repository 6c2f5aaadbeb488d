"""What can be wrong with attaching: the fact, then the next step."""


class AttachError(Exception):
    """An entry that cannot be written or removed; nothing was changed."""

    def __init__(self, fact: str, next_step: str) -> None:
        super().__init__(f"{fact} {next_step}")
        self.fact = fact
        self.next_step = next_step


class UnknownClientError(AttachError):
    """A client that is no row of the table."""


class ConfigSyntaxError(Exception):
    """A text that is not of its format; `line` and `column` count from 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


class NotEditableError(Exception):
    """A text whose entry cannot be changed without touching what is not ours; says why."""
