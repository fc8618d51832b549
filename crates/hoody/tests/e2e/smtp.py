"""A real SMTP server for tests (aiosmtpd): keeps each mail as a file, by default in the clear.

usage: smtp.py DIRECTORY [--host HOST] [--port PORT] [--cert FILE --key FILE (--starttls | --implicit)]
       [--user NAME --password PASSWORD]
"""

import argparse
import asyncio
import pathlib
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")

arguments = argparse.ArgumentParser()
arguments.add_argument("directory", type=pathlib.Path)
arguments.add_argument("--host", default="127.0.0.1")
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--cert")
arguments.add_argument("--key")
arguments.add_argument("--starttls", action="store_true")
arguments.add_argument("--implicit", action="store_true")
arguments.add_argument("--user")
arguments.add_argument("--password")
given = arguments.parse_args()
given.directory.mkdir(parents=True, exist_ok=True)


class Keep:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        Keep.count += 1
        is_secret = session.ssl is not None or given.implicit
        head = f"X-Received: tls={is_secret} to={','.join(envelope.rcpt_tos)}\r\n".encode()
        fresh = given.directory / f"{Keep.count:04}.new"
        fresh.write_bytes(head + envelope.content)
        fresh.rename(fresh.with_suffix(".eml"))
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    is_right = (data.login, data.password) == (given.user.encode(), given.password.encode())
    return AuthResult(success=is_right, handled=False)


async def main():
    context = None
    if given.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(given.cert, given.key)
    options = {}
    if given.starttls:
        options.update(tls_context=context, require_starttls=True)
    if given.user:
        options.update(authenticator=authenticate, auth_required=True, auth_require_tls=not given.implicit)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Keep(), hostname="mail.test", **options),
        given.host,
        given.port,
        ssl=context if given.implicit else None,
    )
    print("listens on", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(0)
