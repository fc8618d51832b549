"""A client that sends bytes as they are, and reads one answer."""

import socket

HOST = "orders.example.com"


def request(target, headers="", method="GET", token="ok", host=HOST, body=b""):
    """The bytes of a request. Without a token or a host it has none."""
    lines = f"{method} {target} HTTP/1.1\r\n"
    lines += f"Host: {host}\r\n" if host else ""
    lines += f"Authorization: Bearer {token}\r\n" if token else ""
    return (lines + headers + "\r\n").encode("latin1") + body


class Answer:
    """An answer: the status, 0 without one; the headers in lower case; the body."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin1").split("\r\n")
        parts = line.split(" ")
        self.status = int(parts[1]) if line.startswith("HTTP/") and parts[1:] and parts[1].isdigit() else 0
        self.headers = {n.lower(): v.strip() for n, _, v in (text.partition(":") for text in lines)}

    @property
    def says(self):
        """The status; a gRPC client's refusal, 200 with a grpc-status, is that status with a minus."""
        grpc = self.headers.get("grpc-status", "0")
        return -int(grpc) if self.status == 200 and grpc != "0" else self.status

    @property
    def is_whole(self):
        length = self.headers.get("content-length")
        if self.status in (101, 204, 304):
            return True
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self.body.endswith(b"0\r\n\r\n")
        return length is not None and len(self.body) >= int(length)


def read(connection, is_head=False):
    """The answer on this connection, or what came of it until the peer closed or the time was over."""
    raw = b""
    try:
        while data := connection.recv(65536):
            raw += data
            if b"\r\n\r\n" in raw:
                answer = Answer(raw)
                if answer.is_whole or is_head or answer.status >= 400 and not answer.headers.get("content-length"):
                    return answer
    except (TimeoutError, ConnectionError):
        pass
    return Answer(raw)


def send(port, data, wait=3.0):
    """Sends it on a connection of its own."""
    try:
        with socket.create_connection(("127.0.0.1", port), wait) as connection:
            connection.settimeout(wait)
            connection.sendall(data)
            return read(connection, data.startswith(b"HEAD"))
    except OSError:
        return Answer(b"")
