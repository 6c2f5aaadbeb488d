"""An embedded Layer on loopback: real HTTP and real small files, simulated runs and prices."""

from .knobs import Fault, Knobs
from .records import Arrival
from .server import RunningSandbox, running_sandbox
from .state import SandboxState

__all__ = ["Arrival", "Fault", "Knobs", "RunningSandbox", "SandboxState", "running_sandbox"]
