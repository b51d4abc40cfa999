"""Servers on this machine that take notifications: HTTP hooks, and one that speaks SMTP."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Hooks", "Mail", "hooks", "mail"]


class Hooks:
    """What an HTTP server got, and what it answers.

    Attributes:
        url: Its address.
        host: ``127.0.0.1:port``.
        requests: Path, headers and JSON body of each request.
        answers: Statuses of the next answers; then 200.
        headers: Headers of the answers that are no 200.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.host = f"127.0.0.1:{port}"
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.requests]


@contextmanager
def hooks() -> Iterator[Hooks]:
    """Run a server that takes whatever is posted."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            found.requests.append((self.path, dict(self.headers), body))
            status = found.answers.pop(0) if found.answers else 200
            self.send_response(status)
            for name, value in found.headers.items() if status != 200 else ():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Hooks(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Mail:
    """What a server of e-mail got.

    Attributes:
        port: Its port.
        messages: Recipients and text of each message.
        refuse: Codes by which the next recipients are refused.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[tuple[list[str], str]] = []
        self.refuse: list[int] = []


@contextmanager
def mail() -> Iterator[Mail]:
    """Run a server that speaks as much of SMTP as it takes to get a message."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            to: list[str] = []
            self.say("220 ready")
            while line := self.rfile.readline().decode().strip():
                verb = line[:4].upper()
                if verb in {"EHLO", "HELO"}:
                    self.say("250 hello")
                elif verb == "RCPT":
                    if found.refuse:
                        self.say(f"{found.refuse.pop(0)} no")
                        continue
                    to.append(line.partition("<")[2].rstrip(">"))
                    self.say("250 ok")
                elif verb == "DATA":
                    self.say("354 go on")
                    text = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
                    found.messages.append((to, text))
                    self.say("250 taken")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    found = Mail(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
