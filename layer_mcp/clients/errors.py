"""Errors of reading and changing a client's configuration."""


class ClientConfigError(Exception):
    """A configuration that can't be read or changed. States the problem, then the next step."""

    def __init__(self, fact: str, next_step: str) -> None:
        super().__init__(f"{fact} {next_step}")
        self.fact = fact
        self.next_step = next_step


class UnknownClientError(ClientConfigError):
    """A client that isn't in the catalog."""


class ForeignEntryError(ClientConfigError):
    """An entry with our name that another program or the user added."""


class ConfigSyntaxError(Exception):
    """A syntax error in a configuration; `line` and `column` start at 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


class NotAnObjectError(Exception):
    """A part of a configuration that isn't an object; the message names the part."""


class NotEditableError(Exception):
    """An entry that can't be changed without touching other parts of the text; says why."""

    def __init__(self, reason: str = "its form isn't supported") -> None:
        super().__init__(reason)
