"""OTLP over gRPC (extra `grpc`): the services that exporters call at port 4317, on the same way to the disk as HTTP.

A call is looked at before its body is read: who is not let in cannot make the server hold anything. Bodies come as they
were sent, so that they are unpacked with the same bound as those over HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from afere.base.errors import MissingExtra
from afere.server.auth import Access, Refusal
from afere.server.forward import HOPS
from afere.server.otlp import MOST, WHOLE, Failed, Intake, success
from afere.server.rpc_status import CODES, INTERNAL, as_protobuf

if TYPE_CHECKING:
    from afere.server.otlp import Holding

_log = logging.getLogger("afere.server")

TOGETHER = 256  # calls that are received or kept at a time
_STOP = 2.0  # seconds that calls in work have when the server ends
_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": False,
    "opentelemetry.proto.collector.logs.v1.LogsService": True,
}
# How compressed messages begin. A request of OTLP begins with 0x0A, or is empty.
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x78": "deflate"}
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # else two servers share a port, and each gets half of the calls
    ("grpc.max_receive_message_length", MOST),
    ("grpc.per_message_decompression", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class Service:
    """The two services over an intake. Made and used on the event loop that the intake runs on."""

    def __init__(self, intake: Intake, access: Access) -> None:
        self._intake = intake
        self._access = access
        self._calls = 0
        self._server: Any = None

    async def start(self, address: str, port: int, *, cert: tuple[bytes, bytes] | None = None) -> int:
        """Listen; returns the port. `cert` is the private key and the certificate chain, as PEM.

        OSError where the port is taken, MissingExtra without grpcio.
        """
        grpc: Any = await asyncio.to_thread(library)
        self._server = grpc.aio.server(options=_OPTIONS)
        for service, logs in _SERVICES.items():
            # Exporters send one message and get one. As a stream it can be refused before it is read.
            handler = grpc.stream_unary_rpc_method_handler(partial(self._export, grpc, logs=logs))
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        try:
            if cert is None:
                bound = self._server.add_insecure_port(place)
            else:
                bound = self._server.add_secure_port(place, grpc.ssl_server_credentials([cert]))
        except RuntimeError as error:
            raise OSError(str(error)) from None
        if not bound:
            raise OSError(f"{place} is in use")
        await self._server.start()
        return int(bound)

    async def stop(self) -> None:
        """Take no new calls; those in work have a moment."""
        if self._server is not None:
            await self._server.stop(_STOP)

    async def _export(self, grpc: Any, messages: AsyncIterator[bytes], context: Any, *, logs: bool) -> bytes:
        said = cast("list[tuple[str, str | bytes]]", context.invocation_metadata() or ())
        metadata = {name: value for name, value in said if isinstance(value, str)}
        self._calls += 1
        try:
            with self._intake.holding() as holding:
                return await self._kept(messages, metadata, holding, logs=logs)
        except Failed as failed:
            code = CODES.get(failed.status, INTERNAL)
            details = ("grpc-status-details-bin", as_protobuf(code, failed.why, retry=failed.retry))
            name = next((one for one in grpc.StatusCode if one.value[0] == code), grpc.StatusCode.INTERNAL)
            await context.abort(name, failed.why[:1000], (details,))
            raise  # abort has raised
        finally:
            self._calls -= 1

    async def _kept(
        self, messages: AsyncIterator[bytes], metadata: Mapping[str, str], holding: Holding, *, logs: bool
    ) -> bytes:
        actor = self._access.actor_of(metadata)
        if isinstance(actor, Refusal):
            raise Failed(actor.status, actor.why)
        project = self._intake.project(actor, metadata.get("afere-project"))
        if self._calls > TOGETHER:
            raise Failed(429, f"The server takes {TOGETHER} calls at a time; send again in a moment.", retry=1)
        body = await _received(messages)
        holding.add(len(body))
        hops = metadata.get(HOPS, "")
        kept = await self._intake.keep(body, _encoding(body), "protobuf", project, holding, logs=logs, hops=hops)
        return success(kept, "protobuf", logs=logs)


async def _received(messages: AsyncIterator[bytes]) -> bytes:
    body: bytes | None = None
    try:
        async with asyncio.timeout(WHOLE):
            async for message in messages:
                if body is not None:
                    raise Failed(400, "A call of Export has one message.")
                body = message
    except TimeoutError:
        raise Failed(408, "The body did not come in time.") from None
    if body is None:
        raise Failed(400, "The call has no message.")
    return body


def _encoding(body: bytes) -> str:
    return next((name for magic, name in _MAGIC.items() if body.startswith(magic)), "")


def library() -> Any:
    """grpcio, or MissingExtra."""
    try:
        return import_module("grpc.aio") and import_module("grpc")
    except ImportError:
        raise MissingExtra("grpc", "OTLP over gRPC") from None
