"""An embedded Layer on loopback: real HTTP and real small files, simulated runs and prices."""

from .knobs import Effect, Fault, Knobs, Operation
from .records import Arrival
from .server import RunningSandbox, running_sandbox
from .state import SandboxState

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
