"""Proxies with the recipes' configurations, and hoody, as processes on free ports."""

import json
import os
import re
import shutil
import signal as signals
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from client import request, send

DEPLOY = Path(__file__).resolve().parent.parent
NAMES = ("nginx", "haproxy", "traefik", "caddy", "envoy", "envoy-http")
COMMANDS = {
    "nginx": ["-p", ".", "-c", "nginx.conf"],
    "haproxy": ["-db", "-f", "haproxy.cfg"],
    "traefik": ["--configFile=traefik.yml"],
    "caddy": ["run", "--config", "Caddyfile", "--adapter", "caddyfile"],
    "envoy": ["-c", "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"],
    "envoy-http": ["-c", "envoy-http.yaml", "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"],
}


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def until(what, holds, seconds=20.0):
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return found


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A process of its own group. `stop` ends all of it."""

    def __init__(self, command, directory, environment=None):
        self.log = open(directory / "log", "ab")
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdout=self.log,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def pause(self):
        """Stops it as SIGSTOP does, and returns when each of its threads stands."""
        self.signal(signals.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        is_stopped = [
            lambda t=t: (t / "stat").read_text().rpartition(")")[2].split()[0] == "T" for t in threads.iterdir()
        ]
        until("the process is stopped", lambda: all(check() for check in is_stopped))

    def stop(self):
        try:
            self.signal(signals.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()


class Proxy:
    """A proxy with its recipe, in front of a gate (`host:port`, id) and a service."""

    def __init__(self, name, binaries, directory, gate, service, gate_id="65a1b2c3d4e5f60718293a4b", grpc=1):
        self.name, self.port, self.waiting = name, free_port(), None
        kind = name.split("-")[0]
        directory.mkdir(parents=True)
        directory.chmod(0o755)
        places = {"LISTEN": f"127.0.0.1:{self.port}", "SERVICE": f"127.0.0.1:{service}", "GRPC": f"127.0.0.1:{grpc}"}
        subprocess.run(
            [DEPLOY / "configure", kind, f"http://127.0.0.1:{gate}/gate/auth?gate={gate_id}"],
            cwd=directory,
            env={**os.environ, **places},
            check=True,
        )
        self.command, self.directory = [binaries / kind, *COMMANDS[name]], directory / kind
        self.start()

    def start(self):
        self.process = Process(self.command, self.directory)
        # Traefik answers 404 before it has read its routes.
        until(
            f"{self.name} is ready, see {self.directory / 'log'}",
            lambda: accepts(self.port) and send(self.port, request("/")).status not in (0, 404),
        )

    def stop(self):
        self.process.stop()


class Hoody:
    """hoody with its data in a directory. The gate's ports stay over a restart."""

    def __init__(self, binary, directory, permissions):
        self.binary, self.directory = binary, directory
        directory.mkdir(parents=True)
        self.listen, self.gate, self.grpc = free_port(), free_port(), free_port()
        home = {"HOME": str(directory), "PATH": os.environ["PATH"], "HOODY_BASE_URL": f"http://127.0.0.1:{self.listen}"}
        workers = {name: value for name, value in os.environ.items() if name == "TOKIO_WORKER_THREADS"}
        self.environment, self.permissions = {**home, **workers}, permissions
        self.process = None
        self.start()
        self.run("login", "--username", "admin", "--password-file", "hoody-data/first-password")

    def start(self):
        flags = [
            "--listen",
            f"127.0.0.1:{self.listen}",
            "--gate-listen",
            f"127.0.0.1:{self.gate}",
            "--gate-grpc-listen",
            f"127.0.0.1:{self.grpc}",
            "--trusted-proxies",
            "127.0.0.1",
            "--permissions",
            self.permissions,
        ]
        log = self.directory / "log"
        before = log.stat().st_size if log.exists() else 0
        self.process = Process([self.binary, "serve", *flags], self.directory, self.environment)
        until(f"hoody is ready, see {log}", lambda: b"It answers Envoy" in log.read_bytes()[before:])

    def stop(self):
        self.process.stop()

    def run(self, *arguments, given=None):
        ran = subprocess.run(
            [self.binary, *arguments],
            cwd=self.directory,
            env=self.environment,
            input=given,
            text=True,
            capture_output=True,
            check=False,
        )
        if ran.returncode:
            raise SystemExit(f"hoody {' '.join(map(str, arguments[:2]))}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def token(self, alias, *permissions, more=()):
        granted = [flag for path in permissions for flag in ("--permission", path)]
        made = json.loads(self.run("auth", "create", "--alias", alias, *granted, *more, "-o", "json"))
        return made["id"], made["token"]

    def call(self, path, body, credential=None):
        """The `data` of an answer of the API."""
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {credential}"} if credential else {}),
        }
        asked = urllib.request.Request(f"http://127.0.0.1:{self.listen}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)["data"]

    def password(self):
        return (self.directory / "hoody-data/first-password").read_text().strip()

    def session(self, username, password):
        return self.call("/api/v1/users/auth/login", {"username": username, "password": password})["token"]

    def foreign_token(self, permission):
        """A token of another account with the same permission."""
        password = "correct horse battery"
        self.run(
            "admin", "users", "create", "mallory", "--email", "mallory@example.com", "--password-stdin", given=password
        )
        leaf = True
        for name in reversed(permission.split(".")):
            leaf = {name: leaf}
        return self.call(
            "/api/v1/auth/tokens", {"alias": "foreign", "permissions": leaf}, self.session("mallory", password)
        )["token"]

    def set_gate(self, definition):
        made = json.loads(self.run("gates", "set", "-", "-o", "json", given=definition))
        return re.search("gate=([0-9a-f]{24})", made["url"])[1]


def binaries_in(directory):
    """The proxies that are there."""
    return [name for name in NAMES if shutil.which(name.split("-")[0], path=directory)]
