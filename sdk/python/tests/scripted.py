"""A server that gives the answers of a case of sdk/conformance.json, one by one."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Scripted:
    base: str = ""
    lines: list[str] = field(default_factory=list)
    last_event_ids: list[str | None] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


@contextmanager
def scripted(script: dict[str, Any], token: str):
    """Starts it; what it gives tells what came."""
    told = Scripted()
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            bearer = self.headers.get("authorization", "none").removeprefix("Bearer ")
            told.times.append(time.monotonic())
            told.lines.append(f"{self.command} {self.path} {'token' if bearer == token else bearer}")
            told.last_event_ids.append(self.headers.get("last-event-id"))
            told.headers.append({name.lower(): value for name, value in self.headers.items()})
            at = len(told.lines) - 1
            none = {"status": 599, "text": "nothing more is in the script"}
            answers = script.get("answers", [])
            self.give(
                script["by_credential"][bearer]
                if "by_credential" in script
                else answers[at]
                if at < len(answers)
                else none
            )

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def give(self, answer: dict[str, Any]) -> None:
            if "wait" in answer:
                stopped.wait(answer["wait"] / 1000)
            if answer.get("drop") or not ("status" in answer or "chunks" in answer):
                self.close_connection = True
                return
            if "chunks" in answer:
                self.stream(answer)
                return
            text = answer.get("text", json.dumps(answer["body"]) if "body" in answer else "").encode()
            self.send_response_only(answer["status"])
            for name, value in {"content-type": "application/json", **answer.get("headers", {})}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def stream(self, answer: dict[str, Any]) -> None:
            self.send_response_only(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for chunk in answer["chunks"]:
                self.wfile.write(chunk.encode())
                self.wfile.flush()
                time.sleep(0.005)
            if answer.get("open"):
                stopped.wait(20)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing: the tests say what came."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    told.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield told
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
