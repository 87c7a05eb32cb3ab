"""The HTTP server of the page: waitress, with a bound on how long a connection may take to say what it wants."""
import logging
import socket
import threading
from typing import Any

import waitress
from flask import Flask
from waitress.channel import HTTPChannel

from mindspore_maml.demo.limits import LONGEST_REQUEST, MOST_CONNECTIONS, MOST_PHOTO_BYTES, THREADS


class Connection(HTTPChannel):
    """A connection whose time counts from the first byte of a request, or from its beginning while there is none.

    waitress itself counts from the latest byte, so that one that drips would stay for ever, and at its limit it takes
    no more connections. Here the one that has been waited for longest is closed instead.
    """

    last_activity: float
    first_byte = 0.0   # when the request began that has not come as a whole yet

    def __init__(self, server: Any, *others: Any, **by_name: Any):
        super().__init__(server, *others, **by_name)
        waited_for = [each for each in server.active_channels.values()
                      if each is not self and not each.requests and not each.total_outbufs_len]
        if len(server.active_channels) > MOST_CONNECTIONS and waited_for:
            min(waited_for, key=lambda each: each.last_activity).will_close = True

    def received(self, data: bytes) -> bool:
        """As waitress has it, which has just set `last_activity`; for the rest of a request it is set back."""
        if self.request is None:
            self.first_byte = self.last_activity
        self.last_activity = self.first_byte
        return super().received(data)


def serve_behind(app: Flask, server: socket.socket) -> threading.Thread:
    """Serve the application at a socket, in a thread; returns the thread.

    It is not the main one, since waitress handles every exception, those that signals raise too.
    """
    for name in ("waitress", "waitress.queue"):   # they say when connections break off and requests wait
        logging.getLogger(name).setLevel(logging.ERROR)
    http: Any = waitress.create_server(app, sockets=[server], threads=THREADS, channel_timeout=LONGEST_REQUEST,
                                       cleanup_interval=1, asyncore_use_poll=True, ident=None, log_socket_errors=False,
                                       connection_limit=2 * MOST_CONNECTIONS, max_request_body_size=MOST_PHOTO_BYTES)
    http.channel_class = Connection
    thread = threading.Thread(target=http.run, name="http", daemon=True)
    thread.start()
    return thread
