"""demo.py left open to others: connections that say nothing, pages of other addresses, and a signal while it works."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import flask
import numpy as np
import pytest

from mindspore_maml.demo import server
from mindspore_maml.demo.characters import glyphs
from mindspore_maml.demo.own_address import names_of, refusing_others
from mindspore_maml.demo.pictures import as_url

ROOT = Path(__file__).resolve().parent.parent
DEADLINE, CONNECTIONS = 1, 20   # seconds and connections, less than those of the program
DRIPS = 0.05                    # seconds between two bytes


@pytest.fixture
def port(request, monkeypatch):
    """Where an application is served that answers with what it was sent; its deadline, if any, as parameter."""
    monkeypatch.setattr(server, "LONGEST_REQUEST", getattr(request, "param", DEADLINE))
    monkeypatch.setattr(server, "MOST_CONNECTIONS", CONNECTIONS)
    app = flask.Flask("echo")
    app.add_url_rule("/", view_func=lambda: flask.request.get_data() or b"nothing", methods=["GET", "POST"])
    with socket.create_server(("127.0.0.1", 0)) as at:
        server.serve_behind(app, at)
        yield at.getsockname()[1]


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def fetched(port, body=None):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, timeout=30) as response:
        return response.read()


def drip(port, begin):
    """Send the beginning of a request, and then a byte from time to time; whether the server closes."""
    with connected(port) as one:
        one.sendall(begin)
        one.settimeout(DRIPS)
        for _ in range(int(30 * DEADLINE / DRIPS)):
            try:
                one.sendall(b"a")
                if not one.recv(100):
                    return True
            except ConnectionError:
                return True
            except TimeoutError:
                continue
    return False


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"])
def test_a_request_that_drips_is_given_up(port, begin):
    assert drip(port, begin)
    assert fetched(port, b"some") == b"some"


def test_a_connection_that_says_nothing_is_closed(port):
    with connected(port) as one:
        assert one.recv(1) == b""


@pytest.mark.parametrize("port", [600], indirect=True)
def test_those_that_wait_longest_make_room(port):
    """Far more connections than are kept, and none of them closed for its silence: yet a request is answered."""
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(port)) for _ in range(5 * CONNECTIONS)]
        assert fetched(port) == b"nothing"
        assert silent[0].recv(1) == b""


@pytest.mark.parametrize("port", [2 * DEADLINE], indirect=True)
def test_a_connection_serves_several_requests(port):
    """For longer together than each may take."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as one:
        one.connect()
        first = one.sock
        for number in range(4):
            one.request("POST", "/", b"%d" % number)
            assert one.getresponse().read() == b"%d" % number
            time.sleep(0.8 * DEADLINE)
        assert one.sock is first


# ---- other pages

@pytest.fixture(scope="module")
def client():
    app = flask.Flask("own")
    app.before_request(refusing_others(names_of("draw.example")))
    app.add_url_rule("/", view_func=lambda: "here", methods=["GET", "POST"])
    return app.test_client()


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "192.168.1.7", "[::1]:8000",
                                  "DRAW.example:80", socket.gethostname(), f"{socket.gethostname()}.local:8000"])
def test_the_names_it_is_reached_by(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200
    assert client.post("/", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "", "[",
                                  "127.0.0.1@evil.example", "evil.example#localhost"])
def test_a_name_that_leads_here_reads_nothing(client, host):
    response = client.get("/", headers={"Host": host})
    assert response.status_code == 403
    assert b"here" not in response.data


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9000", "http://localhost.evil.example",
                                    "http://[", "localhost", ""])
def test_a_page_of_another_address_writes_nothing(client, origin):
    for call in (client.get, client.post):
        assert call("/", headers={"Host": "localhost", "Origin": origin}).status_code == 403


# ---- the end

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_while_it_compiles(trained_path, tmp_path, number):
    """For five classes of two examples, as always when it has begun to serve, and a request waits behind that."""
    with subprocess.Popen([sys.executable, str(ROOT / "demo.py"), "--ckpt", str(trained_path), "--port", "0"],
                          cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        line = next(line for line in process.stdout if line.startswith("draw at"))
        waiting = threading.Thread(target=ask_to_learn, args=(re.search(r"http://\S+", line)[0],))
        waiting.start()
        time.sleep(0.5)
        process.send_signal(number)
        assert process.wait(timeout=5) == 128 + number
        assert process.stderr.read() == "interrupted\n"
        waiting.join()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("error")] == []


def ask_to_learn(address):
    drawn = [[as_url(image) for image in images] for images, _ in glyphs().draw(10, 5, np.random.default_rng(1))]
    body = json.dumps({"classes": drawn}).encode()
    headers = {"Content-Type": "application/json"}
    with contextlib.suppress(OSError):   # the server ends
        urllib.request.urlopen(urllib.request.Request(f"{address}/api/learn", body, headers), timeout=60).close()
