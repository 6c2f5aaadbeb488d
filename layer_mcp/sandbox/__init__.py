"""An embedded Layer on loopback: real HTTP, small real files, and simulated runs and prices."""

from .knobs import Effect, Fault, Knobs, Operation
from .server import RunningSandbox, running_sandbox
from .state import Arrival, SandboxState

__all__ = [
    "Arrival",
    "Effect",
    "Fault",
    "Knobs",
    "Operation",
    "RunningSandbox",
    "SandboxState",
    "running_sandbox",
]
