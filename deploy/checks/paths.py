"""The one canonical path, written a second time, and how carelessly a service may read a path."""

import re

SEGMENT = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})*\Z")
UNRESERVED = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
NEVER = set(b"/\\%;?#") | set(range(0x20)) | {0x7F}
PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def is_canonical(target):
    """Whether hoody may accept this target: the rules of docs/gates.md."""
    raw = target.encode("latin1")
    if not raw.startswith(b"/") or len(raw) > 8192 or any(not 0x21 <= byte <= 0x7E for byte in raw) or b"#" in raw:
        return False
    segments = raw.split(b"?", 1)[0][1:].split(b"/")
    for at, segment in enumerate(segments):
        is_last = at == len(segments) - 1
        if not SEGMENT.match(segment) or segment in (b".", b"..") or not segment and not is_last:
            return False
        if any(int(digits, 16) in UNRESERVED | NEVER for digits in PERCENT.findall(segment)):
            return False
        try:
            decoded(segment).decode()
        except UnicodeDecodeError:
            return False
    return True


def decoded(raw):
    return PERCENT.sub(lambda found: bytes([int(found[1], 16)]), raw)


def careless(target):
    """The path that a service makes of it which decodes twice, merges slashes, cuts `;`, resolves dots and folds case."""
    path = target if target.startswith("/") else "/" + target.split("://", 1)[-1].partition("/")[2]
    raw = decoded(decoded(path.split("?", 1)[0].encode("latin1"))).replace(b"\\", b"/").split(b"\0")[0]
    segments = []
    for segment in raw.split(b"/"):
        segment = segment.split(b";")[0]
        if segment == b"..":
            segments = segments[:-1]
        elif segment not in (b"", b"."):
            segments.append(segment.lower())
    return b"/" + b"/".join(segments)


# Targets that clients send.
SENT = [
    "/a/../b",
    "/a/%2e%2e/b",
    "/a/%2E%2E/b",
    "/a//b",
    "//a/b",
    "/a%2fb",
    "/a%2Fb",
    "/a/..%2fb",
    "/A",
    "/%61",
    "/a;x=1/b",
    "/a/..;/b",
    "/a/./b",
    "/a/.",
    "/a/..",
    "/../b",
    "/a%00",
    "/a%5cb",
    "/a\\b",
    "/a%5c..%5cb",
    "/a%252e%252e/b",
    "/a/%c0%ae%c0%ae/b",
    "/a%0d%0ax:1",
    "/a%20b",
    "/a\x80b",
    "/a%ffb",
    "/a#frag",
    "/a?x#y",
    "/a%3fx=1",
    "/a%23x",
    "/a/b/",
    "/a/b%2f",
    "/a?",
    "/a??x=1",
    "/a?permission=admin.users",
    "/a?x=%26permission=admin",
    "http://orders.example.com/b",
    "http://other.example/b",
    "http://other.example",
    "HTTP://orders.example.com/b",
    "/a/b.",
    "/a|b",
    '/a"b',
    "/a<b>",
    "/a%",
    "/a%zz",
    "/a{b}",
    "/a%7Eb",
    "/a+b",
    "*",
    "a/b",
    "http:/b",
    "/http://x/b",
]
# Ways to /admin/x for a service that reads carelessly.
TO_ADMIN = [
    "/admin/x",
    "/ADMIN/x",
    "/admin;a/x",
    "/admin/",
    "/admin",
    "/admin?x",
    "/pub\\..\\admin/x",
    "/pub/../admin/x",
    "//admin/x",
    "/%61dmin/x",
    "/admin%2fx",
    "/./admin/x",
    "/pub/..%2fadmin/x",
    "/pub/%2e%2e/admin/x",
    "/pub/..;/admin/x",
    "/pub/%252e%252e/admin/x",
    "/%2fadmin/x",
    "/admin/%2e/x",
    "/pub%00/../admin/x",
    "/pub/%5c..%5cadmin/x",
    "/admin%00",
    "/pub/x/%2e%2e/%2e%2e/admin/x",
    "/pub//..//admin/x",
    "/%5cadmin/x",
    "/admin%3bx/x",
    "/admin%3Fx",
    "/admin%23x",
    "http://orders.example.com/admin/x",
    "HTTP://orders.example.com//admin/x",
    "/admin\\x",
    "/pub/./../admin/x",
    "/pub/..\\admin/x",
    "/%2561dmin/x",
    "/pub/%2e%2e%2fadmin/x",
    "/admin/../pub/../admin/x",
    "/adm%69n/x",
    "/admin//x",
]
