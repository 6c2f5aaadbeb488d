"""Servers that share a PostgreSQL database: what more of them add to the calls per second.

The load, the sandbox, and the database are on the same machine. On a small one they compete with
the servers, so each growth is compared with the one that it can reach there: that of servers that
share nothing, or of one server alone.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle, islice

from tests.support.postgres_server import PostgresServer, execute
from tests.support.replicas import RAISED_LIMITS

from .harness import QUICK_RUNS, running_http_server, running_sandbox_child
from .http_calls import (
    Rates,
    ToolCall,
    get_by_hand,
    get_by_hand_command,
    get_own_run,
    mixed_rates,
    our_http_server,
    paid_call,
)
from .postgres import MISSING
from .report import Row, calls_a_second, skipped_row, times

LIMIT_SECONDS = 240
ROUNDS = 5
REPLICAS = 3
READING_SERVERS = 2
# What happened more than a minute ago doesn't count toward Layer's limits.
LONG_AGO_SECONDS = 3600
READS = f"get_status over HTTP: {READING_SERVERS} servers to 1"
PAYS = f"Paid calls: {REPLICAS} servers on PostgreSQL"


@dataclass(frozen=True)
class Growth:
    """Medians of rounds: the calls per second of one server and of several, and their ratio."""

    servers: int
    one_calls_per_second: float
    all_calls_per_second: float
    median_ratio: float


@dataclass(frozen=True)
class Replicas:
    """What more servers add: to reading a run, beside servers that share nothing, and to paying."""

    read_calls: int
    reads: Growth
    reads_by_hand: Growth
    paid_calls: int
    pays: Growth


def measure_replicas(postgres: PostgresServer, read_calls: int, paid_calls: int) -> Replicas:
    """Make this many calls of each kind in each round, divided among the servers of the round."""
    database_url = postgres.create_database()
    with (
        running_sandbox_child(*QUICK_RUNS, limit_seconds=LIMIT_SECONDS) as sandbox,
        _replicas({**sandbox.variables, "LAYER_DATABASE_URL": database_url}) as urls,
    ):
        reads, reads_by_hand = _measure_reads(urls[:READING_SERVERS], sandbox.variables, read_calls)
        pays = _measure_pays(urls, database_url, paid_calls)
    return Replicas(read_calls, reads, reads_by_hand, paid_calls, pays)


def replicas_rows(replicas: Replicas | None) -> list[Row]:
    """Compare more servers with one; without PostgreSQL, say what is missing."""
    if replicas is None:
        return [skipped_row(name, MISSING) for name in (READS, PAYS)]
    reads, by_hand, pays = replicas.reads, replicas.reads_by_hand, replicas.pays
    return [
        Row(
            measure=READS,
            ours=reads.median_ratio,
            shown=times,
            reference=by_hand.median_ratio,
            reference_name="a GET by hand, SDK alone",
            compared=f"{reads.median_ratio / by_hand.median_ratio:.2f} x",
        ),
        Row(
            measure=f"  {reads.servers} servers on PostgreSQL",
            ours=reads.all_calls_per_second,
            shown=calls_a_second,
            reference=reads.one_calls_per_second,
            reference_name="one of them",
        ),
        Row(
            measure=PAYS,
            ours=pays.all_calls_per_second,
            shown=calls_a_second,
            reference=pays.one_calls_per_second,
            reference_name="one of them",
            compared=f"{pays.median_ratio:.2f} x",
        ),
    ]


@contextmanager
def _replicas(variables: Mapping[str, str]) -> Generator[list[str]]:
    """Start our servers, and yield their URLs."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                our_http_server(variables, limit_seconds=LIMIT_SECONDS, launcher=RAISED_LIMITS)
            )
            for _ in range(REPLICAS)
        ]
        yield [server.url for server in servers]


@contextmanager
def _servers_by_hand() -> Generator[list[str]]:
    """Start the SDK's servers, and yield their URLs."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                running_http_server(get_by_hand_command(), limit_seconds=LIMIT_SECONDS)
            )
            for _ in range(READING_SERVERS)
        ]
        yield [server.url for server in servers]


def _measure_reads(
    urls: Sequence[str], variables: Mapping[str, str], calls: int
) -> tuple[Growth, Growth]:
    """Return the growth of our servers, and of those that share nothing."""
    ours = [get_own_run(url) for url in urls]
    with _servers_by_hand() as urls_by_hand:
        by_hand = [get_by_hand(url, variables) for url in urls_by_hand]
        kinds = {
            "one": partial(_divide, calls, ours[:1]),
            "all": partial(_divide, calls, ours),
            "one by hand": partial(_divide, calls, by_hand[:1]),
            "all by hand": partial(_divide, calls, by_hand),
        }
        rates = mixed_rates(kinds, ROUNDS)
    return _growth(ours, rates["one"], rates["all"]), _growth(
        by_hand, rates["one by hand"], rates["all by hand"]
    )


def _measure_pays(urls: Sequence[str], database_url: str, calls: int) -> Growth:
    prompts = count()

    def pay(servers: Sequence[str]) -> list[ToolCall]:
        """Return calls with new prompts, which don't wait for their runs."""
        chosen = islice(cycle(servers), calls)
        return [paid_call(url, f"potion {next(prompts)}", wait_seconds=0) for url in chosen]

    kinds = {"one": partial(pay, urls[:1]), "all": partial(pay, urls)}
    rates = mixed_rates(kinds, ROUNDS, after_each=partial(_end_runs, database_url))
    return _growth(urls, rates["one"], rates["all"])


def _divide(calls: int, between: Sequence[ToolCall]) -> list[ToolCall]:
    return list(islice(cycle(between), calls))


def _growth(servers: Sequence[object], one: Rates, every: Rates) -> Growth:
    return Growth(len(servers), one.median, every.median, every.median_share_of(one))


def _end_runs(database_url: str) -> None:
    """Let all runs be over, as Layer's limits never let so many run at the same time."""
    statement = (
        "UPDATE layer_mcp.runs SET state = 'complete', "
        f"slot_at = slot_at - {LONG_AGO_SECONDS} WHERE state = 'in_progress'"
    )
    execute(database_url, statement)
