#!/usr/bin/env python3
"""A service that leaves tokens to its proxy. Needs Python 3.8 or later and nothing else.

    python3 orders.py [ADDRESS:PORT]        127.0.0.1:9000 unless given

It believes the X-Hoody-* headers, so only the proxy may reach it: keep it on loopback or in a network of its own.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

ORDERS = {"7": {"id": "7", "item": "tea", "count": 2}, "8": {"id": "8", "item": "rice", "count": 1}}


class Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urlsplit(self.path).path.rstrip("/")
        if path == "/healthz":
            self.answer(200, {"status": "ok"})
        elif path == "/orders":
            self.answer(200, {"orders": list(ORDERS.values()), "caller": self.caller()})
        elif path.startswith("/orders/") and path[8:] in ORDERS:
            self.answer(200, {"order": ORDERS[path[8:]], "caller": self.caller()})
        else:
            self.answer(404, {"error": "no such order"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path.rstrip("/") != "/orders":
            return self.answer(404, {"error": "orders are made at /orders"})
        try:
            order = {"id": str(len(ORDERS) + 7), "item": str(json.loads(body)["item"]), "count": 1}
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": 'item: is required, e.g. {"item": "tea"}'})
        ORDERS[order["id"]] = order
        self.answer(201, {"order": order, "caller": self.caller()})

    def caller(self):
        """The identity that the gate found. Each header is there or empty; the proxy replaces what clients send."""
        told = {
            name: self.headers.get(f"X-Hoody-{name}") or None
            for name in ("User-Id", "Token-Id", "Token-Alias", "External-Id", "Realm", "Permissions")
        }
        return {
            "account": told["User-Id"],
            "token": told["Token-Id"],
            "alias": unquote(told["Token-Alias"] or "") or None,
            "external_id": unquote(told["External-Id"] or "") or None,
            "realm": told["Realm"],
            "permissions": (told["Permissions"] or "").split(),
        }

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *arguments):
        caller = self.headers.get("X-Hoody-Token-Alias") if getattr(self, "headers", None) else None
        sys.stderr.write(f"orders: {format % arguments} by {caller or 'nobody'}\n")


def main():
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9000").rpartition(":")
    ThreadingHTTPServer((host, int(port)), Orders).serve_forever()


if __name__ == "__main__":
    main()
