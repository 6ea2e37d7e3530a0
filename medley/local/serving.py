"""HTTP servers of this process, on 127.0.0.1 only."""

import errno
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

HOST = "127.0.0.1"
LINE = 64 * 1024  # bytes of a request line or a header: the functions judge what is too long
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class PortInUse(Exception):
    """Somebody else listens on a port."""


async def serve(handle: Handle, port: int) -> tuple[web.ServerRunner, int]:
    """Serves on a port, 0 for any that is free; the runner, and the port it is. Raises PortInUse."""
    server = web.Server(
        handle,
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        max_line_size=LINE,
        max_field_size=LINE,
    )
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    listening = _listen(port)
    await web.SockSite(runner, listening).start()
    return runner, int(listening.getsockname()[1])


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortInUse(f"port {port} cannot be used: {error.strerror}") from error
        raise
    return listening
