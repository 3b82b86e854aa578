"""Bytes between the host's 127.0.0.1 and the cluster's network.

A socket belongs for good to the network namespace in which it was made. The listening ones were
made on the host and inherited; what is opened here lies in the cluster. One process bridges both
and dies with the cluster.
"""

import asyncio
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress

CHUNK = 1 << 16


def run(listeners: Mapping[int, tuple[str, int]]) -> None:
    """Serve until killed: each file descriptor of a listening socket leads to one address."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(listeners))


async def _serve(listeners: Mapping[int, tuple[str, int]]) -> None:
    servers = [
        await asyncio.start_server(_Door(address), sock=socket.socket(fileno=descriptor))
        for descriptor, address in listeners.items()
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


class _Door:
    """Handles the connections of one listening socket."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(*self._address)
        except OSError:  # the server is down: so is its door
            writer.close()
            return
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        for end in (writer, inner_writer):
            end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.write_eof()
