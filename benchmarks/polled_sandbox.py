"""A sandbox that notes when each run was first looked at."""

from dataclasses import dataclass, field

from layer_mcp.sandbox import Arrival, SandboxState


@dataclass
class PolledSandbox(SandboxState):
    """`remaining_seconds` is what each run that was looked at had left at the first look."""

    remaining_seconds: dict[str, float] = field(default_factory=dict[str, float])

    def record(self, arrival: Arrival) -> None:
        """Count a request."""
        super().record(arrival)
        run_id = arrival.path.rpartition("/")[2]
        run = self.runs.get(run_id) if arrival.operation == "get_inference" else None
        if run is not None and run_id not in self.remaining_seconds:
            ends_at = run.submitted_at + self.knobs.run_seconds
            self.remaining_seconds[run_id] = ends_at - self.clock()
