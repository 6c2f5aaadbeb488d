"""Run the sample on stdin; it has no model."""

import sys

exec(compile(sys.stdin.read(), "sample", "exec"))
