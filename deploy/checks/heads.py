"""Heads that clients send to be taken for somebody else, and what must not come of them."""

import re

from client import request

WEBSOCKET = (
    "Connection: Upgrade{}\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
SPOOFED_FAMILY = (
    "X-Original-URI: /public\r\nX-Original-Method: HEAD\r\nX-Forwarded-Uri: /public\r\nX-Forwarded-Method: HEAD\r\n"
    "X-Forwarded-For: 10.9.9.9\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\n"
    "X-Forwarded-Prefix: /public\r\nForwarded: for=10.9.9.9\r\nX-Real-IP: 10.9.9.9\r\nX-Rewrite-URL: /public\r\n"
    "X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\nX-Method-Override: DELETE\r\nX-Original-URL: /public\r\n"
)
BROWSER = "preflight without token"
UPLOAD = "upload, refused before its end"
PREFLIGHT = "Origin: https://x.example\r\nAccess-Control-Request-Method: PUT\r\n"


def cases(good, bad, preflight):
    """Name, bytes, and the outcomes that are right: `in`, `out`, or both where a proxy may take either.

    `good` is a credential that comes in at /o/1, `bad` is one that is refused; `preflight` is what becomes of a browser's.
    """

    def ask(headers="", method="GET", token=good, target="/o/1", body=b"", **more):
        return request(target, headers, method, token, body=body, **more)

    post = {"method": "POST"}
    return [
        ("plain", ask("User-Agent: ua/1\r\nCookie: c=1\r\nAccept: */*\r\n", target="/o/1?q=1"), "in"),
        (
            "spoofed identity",
            ask("X-Hoody-User-Id: evil\r\nX-Hoody-Permissions: evil\r\nX-Hoody-Identity: evil\r\n"),
            "in",
        ),
        (
            "spoofed, all of them",
            ask(
                "X-Hoody-Token-Id: evil\r\nX-Hoody-Realm: evil\r\nX-Hoody-External-Id: evil\r\n"
                "X-Hoody-Token-Alias: evil\r\nX-Hoody-Code: evil\r\n"
            ),
            "in",
        ),
        ("spoofed twice", ask("X-Hoody-User-Id: evil\r\nX-Hoody-User-Id: evil\r\n"), "in"),
        ("alias by underscores", ask("x_hoody_user_id: evil\r\n"), "either"),
        ("alias, mixed", ask("X-Hoody_User-Id: evil\r\n"), "either"),
        ("alias by dots", ask("X.Hoody.User.Id: evil\r\n"), "either"),
        ("alias by tildes", ask("X~Hoody~User~Id: evil\r\n"), "either"),
        ("alias by a quote", ask("X-Hoody-User'Id: evil\r\nX-Hoody-User.Id: evil\r\n"), "either"),
        ("alias by bars", ask("X|Hoody|User|Id: evil\r\n"), "either"),
        ("alias, upper case", ask("X~HOODY~USER~ID: evil\r\nX-HOODY-USER-ID: evil\r\n"), "either"),
        ("alias by underscores, refused", ask("x_hoody_user_id: evil\r\n", token=bad), "out"),
        ("Connection names the identity", ask("Connection: keep-alive, x-hoody-user-id, X-Hoody-Token-Id\r\n"), "in"),
        ("Connection closes and names it", ask("Connection: close, x-hoody-user-id\r\n"), "in"),
        ("Connection names Authorization", ask("Connection: authorization\r\n"), "either"),
        (
            "Connection names the family",
            ask("Connection: x-forwarded-for, x-forwarded-uri, x-forwarded-method\r\n"),
            "either",
        ),
        ("Connection names Host", ask("Connection: host\r\n"), "either"),
        ("space before colon", ask("X-Hoody-User-Id : evil\r\n"), "either"),
        ("folded line", ask("X-Foo: a\r\n X-Hoody-User-Id: evil\r\n"), "either"),
        ("bare LF", ask("X-Foo: a\nX-Hoody-User-Id: evil\r\n"), "either"),
        ("spoofed family", ask(SPOOFED_FAMILY), "in"),
        (
            "family by underscores",
            ask("x_forwarded_uri: /public\r\nx_original_uri: /public\r\nx_forwarded_for: 10.9.9.9\r\n"),
            "either",
        ),
        ("two Authorization, good first", ask(f"Authorization: Bearer {bad}\r\n"), "out"),
        ("two Authorization, bad first", ask(f"Authorization: Bearer {good}\r\n", token=bad), "out"),
        ("no Authorization", ask(token=None), "out"),
        ("empty Authorization", ask("Authorization:\r\n", token=None), "out"),
        ("twin of Authorization", ask(f"Author_ization: Bearer {good}\r\n", token=None), "out"),
        ("two Host", ask("Host: other.example\r\n"), "out"),
        ("another Host", ask(host="other.example"), "out"),
        ("no Host", ask(host=None), "out"),
        ("HTTP/1.0 without Host", f"GET /o/1 HTTP/1.0\r\nAuthorization: Bearer {good}\r\n\r\n".encode(), "out"),
        ("POST", ask("Content-Length: 5\r\nContent-Type: text/plain\r\n", body=b"hello", **post), "in"),
        ("POST, chunked", ask("Transfer-Encoding: chunked\r\n", body=b"5\r\nhello\r\n0\r\n\r\n", **post), "in"),
        (UPLOAD, ask("Content-Length: 20000000\r\n", token=bad, body=b"x" * 1_000_000, **post), "out"),
        ("POST, refused", ask("Content-Length: 5\r\n", token=bad, body=b"hello", **post), "out"),
        (
            "identity in a trailer",
            ask(
                "Transfer-Encoding: chunked\r\nTrailer: X-Hoody-User-Id\r\n",
                body=b"5\r\nhello\r\n0\r\nX-Hoody-User-Id: evil\r\n\r\n",
                **post,
            ),
            "either",
        ),
        (
            "length and chunks",
            ask("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\nG", **post),
            "either",
        ),
        ("unknown coding", ask("Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n", body=b"abc", **post), "out"),
        (
            "chunked twice",
            ask("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", body=b"0\r\n\r\n", **post),
            "out",
        ),
        ("two lengths", ask("Content-Length: 3\r\nContent-Length: 5\r\n", body=b"abcde", **post), "out"),
        (
            "GET with a body",
            ask("Content-Length: 40\r\n", body=b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\nxxxxxxxxx"),
            "either",
        ),
        ("HEAD", ask(method="HEAD"), "in"),
        ("OPTIONS", ask(method="OPTIONS"), "in"),
        (BROWSER, ask(PREFLIGHT + "X-Hoody-User-Id: evil\r\n", method="OPTIONS", token=None), preflight),
        ("CONNECT", ask(method="CONNECT", target="orders.example.com:80"), "out"),
        ("unknown method", ask(method="FOO"), "either"),
        ("lower-case method", ask(method="get"), "either"),
        ("DELETE", ask(method="DELETE"), "in"),
        (
            "like gRPC",
            ask(
                "TE: trailers\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\n",
                target="/pkg.Svc/Do",
                body=b"\0\0\0\0\0",
                **post,
            ),
            "in",
        ),
        (
            "like gRPC, refused",
            ask(
                "TE: trailers\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\n",
                target="/pkg.Svc/Do",
                token=bad,
                body=b"\0\0\0\0\0",
                **post,
            ),
            "out",
        ),
        ("Expect, refused", ask("Content-Length: 5\r\nExpect: 100-continue\r\n", token=bad, **post), "out"),
        (
            "Upgrade: h2c",
            ask(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
            ),
            "either",
        ),
        ("WebSocket", ask(WEBSOCKET.format("")), "in"),
        ("WebSocket, identity in Connection", ask(WEBSOCKET.format(", x-hoody-user-id")), "in"),
        ("WebSocket, refused", ask(WEBSOCKET.format(""), token=bad), "out"),
    ]


# Headers that the service may get from the proxy alone, in every spelling that CGI takes for the same name.
STRIPPED = re.compile(
    r"forwarded|x-(http-method(-override)?|method-override|rewrite-url|original-(url|uri|method)"
    r"|forwarded-(uri|method|prefix)|real-ip)"
)


def faults_of_service(request, identity):
    """The faults of a request that reached the service. `identity` is the account that the gate named, if any."""
    names = [(re.sub("[^a-z0-9]", "-", name.lower()), value) for name, value in request["headers"]]
    for name, value in names:
        if value == "evil" or "10.9.9.9" in value or value in ("/public", "DELETE", "gopher"):
            yield f"the service got {name}: {value} of the client"
        if name == "upgrade" and value.lower() != "websocket":
            yield f"the protocol was changed to {value}"
        if name == "authorization":
            yield "the service got the token"
        if STRIPPED.fullmatch(name) and not (name == "x-real-ip" and value == "127.0.0.1"):
            yield f"the service got {name}: {value}"
    users = [value for name, value in names if name == "x-hoody-user-id"]
    if users not in ([[identity]] if identity else [[], [""]]):
        yield f"the service saw the account {users}"
    if request["method"] in ("CONNECT", "TRACE"):
        yield f"{request['method']} was forwarded"


def faults_of_question(question, method):
    """The faults of a question to the gate about a request with this method."""
    names = [name.lower() for name, _ in question["headers"]]
    headers = {name.lower(): value for name, value in question["headers"]}
    for name in ("x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for"):
        if names.count(name) != 1:
            yield f"the gate got {name} {names.count(name)} times"
    told = [headers.get(f"x-forwarded-{name}") for name in ("for", "proto", "method")]
    if told != ["127.0.0.1", "http", method]:
        yield f"the gate was told {told}"
    if headers.get("x-forwarded-uri") == "/public" or "evil" in headers.get("x-forwarded-host", ""):
        yield "the gate was told what the client said"
    for name in ("cookie", "upgrade", "expect", "transfer-encoding"):
        if name in headers:
            yield f"the gate got {name}"
