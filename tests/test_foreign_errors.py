"""The text of another library's exception is never repeated: it may hold a secret or an input."""

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import layer_mcp
from layer_mcp.cli.screen.output import BriefFormatter

PACKAGE = Path(layer_mcp.__file__).parent
TEXT_ATTRIBUTES = ("args", "msg", "message", "problem", "reason", "doc", "object")
# The position in a TOML file is only in the text. SQLite's texts are fixed.
ALLOWED = ("access/token_file.py", "clients/toml.py", "doctor/journal_health.py", "runs/journal/")


def classes_of(node: ast.expr | None) -> list[str]:
    """Return the names of the classes in an `except` or an annotation."""
    if isinstance(node, ast.Tuple):
        return [name for item in node.elts for name in classes_of(item)]
    if isinstance(node, ast.BinOp):
        return classes_of(node.left) + classes_of(node.right)
    return [ast.unparse(node).rpartition(".")[2]] if node is not None else []


def foreign_errors(tree: ast.AST, own: set[str]) -> Iterator[tuple[str, ast.AST]]:
    """Yield the name of each variable that holds a foreign exception, and where it is known."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.name:
            if set(classes_of(node.type)) - own:
                yield node.name, node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for argument in (*node.args.args, *node.args.kwonlyargs):
                names = set(classes_of(argument.annotation)) - own
                if any(name.endswith(("Error", "Exception")) for name in names):
                    yield argument.arg, node


def repeats(node: ast.AST, name: str) -> bool:
    """Return whether a node turns an exception into text."""

    def is_it(value: ast.AST) -> bool:
        if isinstance(value, ast.BoolOp):
            return any(map(is_it, value.values))
        return isinstance(value, ast.Name) and value.id == name

    if isinstance(node, ast.FormattedValue):
        return is_it(node.value)
    if isinstance(node, ast.Attribute):
        return is_it(node.value) and node.attr in TEXT_ATTRIBUTES
    if isinstance(node, ast.Call):
        function = ast.unparse(node.func)
        is_text = function in ("str", "repr", "format", "ascii")
        is_logged = function.startswith("logger.") and function != "logger.debug"
        return (is_text or is_logged) and any(map(is_it, node.args))
    return False


def is_narrowed(node: ast.AST, tree: ast.AST, name: str, own: set[str]) -> bool:
    """Return whether a node is under an `if isinstance(error, ...)` of this package's classes."""
    return any(
        isinstance(test, ast.If)
        and node in ast.walk(test)
        and isinstance(test.test, ast.Call)
        and ast.unparse(test.test.func) == "isinstance"
        and ast.unparse(test.test.args[0]) == name
        and not set(classes_of(test.test.args[1])) - own
        for test in ast.walk(tree)
    )


def test_no_foreign_exceptions_text_is_shown_or_logged() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}
    own = {
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    }
    places = [
        f"{place}:{node.lineno} {ast.unparse(node)}"
        for file, tree in trees.items()
        if not (place := file.relative_to(PACKAGE).as_posix()).startswith(ALLOWED)
        for name, scope in foreign_errors(tree, own)
        for node in ast.walk(scope)
        if isinstance(node, ast.FormattedValue | ast.Attribute | ast.Call)
        and repeats(node, name)
        and not is_narrowed(node, scope, name, own)
    ]
    assert places == []


def test_the_log_of_a_crash_has_its_place_and_no_text_of_the_exception() -> None:
    secret = "-".join(["hush"] * 2)

    def fail() -> None:
        raise KeyError(secret)

    def fail_again() -> None:
        try:
            fail()
        except KeyError as error:
            raise ValueError(secret) from error

    with pytest.raises(ValueError, match=secret) as caught:
        fail_again()
    info = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("layer_mcp", logging.ERROR, "", 1, "It crashed", (), info)
    shown = BriefFormatter().format(record)
    assert secret not in shown
    assert "in fail" in shown
    assert shown.index("KeyError") < shown.index("ValueError")
    assert shown.endswith("ValueError")


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("try: pass\nexcept OSError as e: x = f'{e}'", True),
        ("try: pass\nexcept OSError as e: x = f'{e.strerror or e}'", True),
        ("try: pass\nexcept (OwnError, OSError) as e: x = str(e)", True),
        ("try: pass\nexcept OSError as e: logger.info('%s', e)", True),
        ("def f(e: Exception): return e.args", True),
        ("try: pass\nexcept OSError as e: x = e.strerror", False),
        ("try: pass\nexcept OSError as e: x = type(e).__name__", False),
        ("try: pass\nexcept OwnError as e: x = str(e)", False),
        ("def f(e: Exception):\n if isinstance(e, OwnError): return str(e)", False),
    ],
)
def test_the_scan_tells_text_from_facts(source: str, is_found: bool) -> None:
    tree, own = ast.parse(source), {"OwnError"}
    found = [
        node
        for name, scope in foreign_errors(tree, own)
        for node in ast.walk(scope)
        if repeats(node, name) and not is_narrowed(node, scope, name, own)
    ]
    assert bool(found) == is_found
