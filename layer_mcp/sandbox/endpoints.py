"""One operation as a route: it counts its requests and applies the faults lined up for it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from .faults import Connections, cut_short, spoiled
from .knobs import Fault, Operation
from .problems import RefusalError
from .records import Arrival
from .state import SandboxState

Handler = Callable[[SandboxState, Request], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(
    state: SandboxState, connections: Connections, operation: Operation, handler: Handler
) -> Endpoint:
    """The handler with everything around it that all operations share."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(state, request)
        except RefusalError as refusal:
            return refusal.response()

    async def serve(request: Request) -> Response:
        try:
            return await served(request)
        except ClientDisconnect:
            return Response()

    async def served(request: Request) -> Response:
        fault = state.next_fault(operation)
        if fault is not None and fault.unread:
            state.record(Arrival(operation, request.url.path, dict(request.headers), b""))
            return spoiled(fault, Response(), connections, request)
        state.record(await _arrival(operation, request))
        if fault is None:
            return await answer(request)
        await anyio.sleep(fault.delay_seconds)
        if fault.effect == "slow":
            return await answer(request)
        response = await _faulty(fault, request, answer)
        return spoiled(fault, response, connections, request)

    return serve


def route(method: str, path: str, serve: Endpoint) -> Route:
    """A route for one method and no other."""
    return Route(path, serve, methods=[method])


async def _arrival(operation: Operation, request: Request) -> Arrival:
    # The body of an upload is left to its handler, which reads it as it comes.
    body = b"" if operation == "upload" else await request.body()
    return Arrival(operation, request.url.path, dict(request.headers), body)


async def _faulty(fault: Fault, request: Request, answer: Endpoint) -> Response:
    if fault.after_bytes is not None:
        with suppress(ClientDisconnect):
            await answer(cut_short(request, fault.after_bytes))
        return Response()
    if fault.works:
        return await answer(request)
    if fault.effect != "drop":
        await drain(request)
    return Response()


async def drain(request: Request) -> None:
    """Read the rest of a body, so that the client can send it before it reads the answer."""
    async for _ in request.stream():
        pass
