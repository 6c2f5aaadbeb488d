"""Run the load proof: `python -m tests.load`, or with other numbers of agents and rounds.

Exits with 1 if a run was lost or paid twice, if an agent saw another one's run, or if an error
didn't say what to do.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from ..support.postgres_server import find_programs, running_postgres
from .deployment import running_deployment
from .picture import save_timeline
from .proof import Proof, prove

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run the proof, and write its figures and its picture."""
    parser = argparse.ArgumentParser(description="Many agents, three replicas, three failures.")
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument(
        "--rounds",
        type=float,
        default=0.5,
        help="runs of an agent between two failures, on average",
    )
    parser.add_argument("--figures", type=Path, default=ROOT / "docs" / "load.json")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "load.png")
    options = parser.parse_args()
    programs = find_programs()
    if programs is None:
        print("PostgreSQL is not installed.", file=sys.stderr)
        return 1
    names = [f"agent-{number:03}" for number in range(options.agents)]
    with (
        running_postgres(programs) as postgres,
        TemporaryDirectory() as folder,
        running_deployment(postgres, names, Path(folder)) as deployment,
    ):
        proof = anyio.run(prove, deployment, options.rounds)
    return report(proof, options.figures, options.picture)


def report(proof: Proof, figures: Path, picture: Path) -> int:
    """Write the files, and return the exit code."""
    text = json.dumps(proof.figures(), indent=2) + "\n"
    figures.write_text(text, encoding="utf-8")
    save_timeline(proof, picture)
    print(text, end="")
    violations = proof.violations()
    for violation in violations:
        print(violation, file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
