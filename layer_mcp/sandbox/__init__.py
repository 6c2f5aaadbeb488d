"""An embedded Layer on loopback: real HTTP and real small files, simulated runs and prices."""

from .server import RunningSandbox, running_sandbox
from .state import Arrival, Fault, Knobs, SandboxState

__all__ = ["Arrival", "Fault", "Knobs", "RunningSandbox", "SandboxState", "running_sandbox"]
