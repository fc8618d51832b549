"""Two raw HTTP/1.1 servers in one thread: a gate that answers by the credential, and a service. Both keep what they got.

`Bearer 403` makes the gate answer 403, `Bearer reset` makes it reset the connection; ANSWERS has all of them.
"""

import asyncio
import base64
import hashlib
import threading

IDENTITY = (
    "X-Hoody-User-Id: from-gate\r\nX-Hoody-Token-Id: token-of-gate\r\nX-Hoody-Token-Alias: alias\r\n"
    "X-Hoody-External-Id: \r\nX-Hoody-Realm: \r\nX-Hoody-Permissions: orders.read\r\n"
)
REASONS = {
    "101": "Switching Protocols",
    "204": "No Content",
    "205": "Reset Content",
    "206": "Partial Content",
    "299": "Odd",
    "300": "Multiple Choices",
    "302": "Found",
    "400": "Bad Request",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "Not Found",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "502": "Bad Gateway",
    "503": "Service Unavailable",
}
CHALLENGE = 'WWW-Authenticate: Bearer realm="hoody", error="%s"\r\n'


class Origin:
    """Both servers. `gate` and `service` are their ports; `take()` gives what came since it was last called."""

    def __init__(self):
        self.seen, self.connections, self.loop = [], {"gate": 0, "service": 0}, asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.gate, self.service = (self.serve(answer) for answer in (self.answer_proxy, self.answer_client))

    def serve(self, answer):
        start = asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 20)
        return asyncio.run_coroutine_threadsafe(start, self.loop).result().sockets[0].getsockname()[1]

    def take(self):
        seen, self.seen[:] = list(self.seen), []
        return [r for r in seen if r["at"] == "gate"], [r for r in seen if r["at"] == "service"]

    async def requests(self, at, reader):
        """Each request of a connection, as it came."""
        self.connections[at] += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *lines = head.decode("latin1").split("\r\n")[:-2]
            headers = [(name, value.strip()) for name, _, value in (text.partition(":") for text in lines)]
            method, _, rest = line.partition(" ")
            target = rest.rpartition(" ")[0]
            request = {"at": at, "method": method, "target": target, "headers": headers}
            self.seen.append(request)
            yield request, {name.lower(): value for name, value in headers}

    async def answer_proxy(self, reader, writer):
        try:
            async for request, headers in self.requests("gate", reader):
                await read_body(reader, headers)
                credentials = [v for n, v in request["headers"] if n.lower() == "authorization"]
                # Envoy joins two lines to one value.
                asked = credentials[0].split(" ")[-1] if len(credentials) == 1 and "," not in credentials[0] else "401"
                if not await self.decide(asked, request["method"], writer):
                    return
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def decide(self, asked, method, writer):
        """Answers one question of a proxy; false where the connection is at its end."""
        status, headers, body = "200 OK", IDENTITY + "Set-Cookie: of-gate=1\r\n", b""
        if asked == "silent":
            headers = "X-Hoody-Token-Id: token-of-gate\r\n"
        elif asked == "twice":
            headers = "X-Hoody-User-Id: one\r\nX-Hoody-User-Id: two\r\n"
        elif asked == "big":
            headers += "X-Pad: " + "a" * 70000 + "\r\n"
        elif asked == "bigbody":
            status, body = "403 Forbidden", b"x" * 3_000_000
        elif asked == "slow":
            await asyncio.sleep(40)
        elif asked == "reset":
            return writer.transport.abort()
        elif asked in ("close", "garbage", "half"):
            writer.write(
                {"close": b"", "garbage": b"nonsense\r\n\r\n", "half": b"HTTP/1.1 200 OK\r\nX-Hoody-User-"}[asked]
            )
            return await writer.drain()
        elif asked != "ok":
            asked = asked if asked in REASONS else "401"
            status = f"{asked} {REASONS[asked]}"
            headers = "Retry-After: 7\r\nX-Hoody-Code: CODE\r\n"
            headers += {
                "302": "Location: http://elsewhere.example/\r\n",
                "401": CHALLENGE % "invalid_token",
                "403": CHALLENGE % "insufficient_scope",
            }.get(asked, "")
            headers = IDENTITY if asked < "300" else headers
        if asked not in ("204", "101"):
            headers += f"Content-Length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\n".encode() + (b"" if method == "HEAD" else body))
        await writer.drain()
        return True

    async def answer_client(self, reader, writer):
        try:
            async for request, headers in self.requests("service", reader):
                if headers.get("upgrade", "").lower() == "websocket":
                    key = headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
                    writer.write(
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
                    )
                    while data := await reader.read(4096):
                        writer.write(data)
                    return
                await read_body(reader, headers)
                body = b"" if request["method"] == "HEAD" else b"of the service"
                writer.write(b"HTTP/1.1 200 OK\r\nX-From: service\r\nContent-Length: 14\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()


async def read_body(reader, headers):
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        while await reader.readline() not in (b"\r\n", b""):
            pass
    else:
        await reader.readexactly(int(headers.get("content-length") or 0))
