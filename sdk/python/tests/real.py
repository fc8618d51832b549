"""A hoody server of the test's own: the binary that HOODY_BIN names."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("HOODY_BIN") or str(ROOT / "target/debug/hoody")


@contextmanager
def real(username: str, password: str, *flags: str):
    """Starts one with an account; gives its address."""
    with tempfile.TemporaryDirectory(prefix="hoody-sdk-") as directory:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": directory,
            "HOODY_ADMIN_USERNAME": username,
            "HOODY_ADMIN_PASSWORD": password,
        }
        command = [BINARY, "serve", "--data-dir", f"{directory}/data", "--listen", "127.0.0.1:0", *flags]
        server = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        said = []
        base = None
        for line in server.stderr:
            said.append(line)
            if found := re.match(r"hoody listens on (\S+) ", line):
                base = found[1]
                break
        # What it says later must not fill the pipe.
        drain = threading.Thread(target=lambda: [None for _ in server.stderr], daemon=True)
        drain.start()
        try:
            assert base, f"the server did not start:\n{''.join(said)}"
            yield base
        finally:
            server.terminate()
            server.wait()
            drain.join()
            server.stderr.close()
