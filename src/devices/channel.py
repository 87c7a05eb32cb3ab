"""A channel between two processes: objects go through whole, and who waits for one may look around meanwhile.

A pipe of `multiprocessing` waits for the whole of a message, even where its sender has stopped in the middle.
"""
import pickle
import socket
import struct
from collections.abc import Callable
from multiprocessing import connection
from typing import Any

SIZE = struct.Struct("!Q")   # what goes ahead of an object: its number of bytes


class Channel:
    """One end of a channel."""

    def __init__(self, end: socket.socket):
        self.end = end

    @classmethod
    def pair(cls) -> tuple["Channel", "Channel"]:
        """Both ends of a new one."""
        here, there = socket.socketpair()
        return cls(here), cls(there)

    def send(self, sent: Any) -> None:
        """Send an object; waits where it is longer than what the system holds for a reader."""
        message = pickle.dumps(sent, pickle.HIGHEST_PROTOCOL)
        self.end.sendall(SIZE.pack(len(message)) + message)

    def receive(self, every: float | None = None, look: Callable[[], None] = lambda: None) -> Any:
        """The next object; `look` is called each time nothing has come for `every` seconds, and may raise.

        Raises
        ------
        EOFError
            Where the other end was closed, be it in the middle of an object.
        """
        size, = SIZE.unpack(self._read(SIZE.size, every, look))
        return pickle.loads(self._read(size, every, look))

    def _read(self, size, every, look):
        content = bytearray(size)
        rest = memoryview(content)
        while rest:
            while not connection.wait([self.end], every):
                look()
            count = self.end.recv_into(rest)
            if not count:
                raise EOFError
            rest = rest[count:]
        return content

    def close(self) -> None:
        """No more; the other end notices."""
        self.end.close()
