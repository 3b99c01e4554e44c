"""What lies outside a sandbox, and would show that a payload got there."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import selectors
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

VARIABLE = "WORKBENCH_TEST_SECRET"
VICTIM = (
    "import sys, time; secret = sys.stdin.readline(); print('ready', flush=True); time.sleep(600)"
)


class Outside:
    """A folder with a secret and a witness, servers on every kind of socket, and a process."""

    def __init__(self, place: Path) -> None:
        self.secret = "secret-" + secrets.token_hex(16)
        self.place = place / "outside"
        self.place.mkdir(mode=0o755)
        (place / "dev").symlink_to(self.place.name)  # a folder beside, with a name of the sandbox's
        (self.place / "secret").write_text(self.secret)
        self.witness = self.place / "witness"
        self.witness.write_text("untouched")
        self.received: list[str] = []
        """What came to a server: the kind of its socket."""
        self._sockets = self._servers()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self._victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {VARIABLE: self.secret},
        )
        assert self._victim.stdin is not None
        assert self._victim.stdout is not None
        self._victim.stdin.write(self.secret.encode() + b"\n")
        self._victim.stdin.flush()
        self._victim.stdout.readline()
        self.inherited = os.open(self.place / "secret", os.O_RDONLY)
        os.set_inheritable(self.inherited, True)
        self.names = {
            "outside": str(self.place),
            "victim": str(self._victim.pid),
            "home": str(Path.home()),
            "abstract": self._abstract,
            **{kind: str(sock.getsockname()[1]) for kind, sock in self._inet.items()},
        }
        self._before = self._listed()

    def folder(self, name: str) -> Path:
        """A new folder for a payload, beside the folder of the secret. It holds what a careless
        person may have left in it: links, a server's socket, a pipe."""
        folder = self.place.parent / name
        (folder / "deep").mkdir(parents=True)
        (folder / "plain.txt").write_text("plain\n")
        (folder / "link").symlink_to(self.place / "secret")
        (folder / "up").symlink_to("../outside", target_is_directory=True)
        (folder / "root").symlink_to("/", target_is_directory=True)
        (folder / "loop").symlink_to("loop")
        (folder / "magic").symlink_to("/proc/self/cwd", target_is_directory=True)
        (folder / "deep" / "up").symlink_to("../../outside", target_is_directory=True)
        os.mkfifo(folder / "pipe")
        os.link(self.place / "secret", folder / "hard")
        os.link(self.place / "socket", folder / "socket")
        return folder

    def __enter__(self) -> Outside:
        self._variable = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = self.secret
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        del os.environ[VARIABLE]
        if self._variable is not None:
            os.environ[VARIABLE] = self._variable
        self._stop.set()
        self._thread.join()
        for sock in self._sockets.values():
            sock.close()
        self._victim.kill()
        self._victim.communicate()
        os.close(self.inherited)

    def filled(self, payload: str) -> str:
        """A payload with the names of what is outside: @tcp@ is the port of the TCP server."""
        return re.sub(r"@(\w+)@", lambda found: self.names[found[1]], payload)

    def reached(self, output: str = "") -> str:
        """How a payload got out, by what is seen from outside; "" when it did not."""
        time.sleep(0.01)
        if self.secret in output:
            return "the secret is in the output"
        if self.received:
            return f"a server was reached by {self.received.pop()}"
        if self._victim.poll() is not None:
            return "a process outside was ended"
        if self.witness.read_text() != "untouched":
            return "a file outside was changed"
        if changed := set(self._listed()) ^ set(self._before):
            return f"files outside were made or changed: {sorted(changed)}"
        return ""

    def _listed(self) -> list[tuple[str, int, int, int]]:
        found = ((path.name, path.lstat()) for path in sorted(self.place.iterdir()))
        return [(name, at.st_mode, at.st_size, at.st_mtime_ns) for name, at in found]

    def _servers(self) -> dict[str, socket.socket]:
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self._inet = {"tcp": socket.socket(socket.AF_INET, stream)}
        self._inet["udp"] = socket.socket(socket.AF_INET, datagram)
        self._inet["tcp6"] = socket.socket(socket.AF_INET6, stream)
        for kind, sock in self._inet.items():
            sock.bind(("::1" if kind == "tcp6" else "127.0.0.1", 0))
        self._abstract = "workbench-" + secrets.token_hex(8)
        unix = {kind: socket.socket(socket.AF_UNIX, stream) for kind in ("unix", "abstract")}
        with contextlib.chdir(self.place):  # such an address has at most 107 letters
            unix["unix"].bind("socket")
        unix["abstract"].bind("\0" + self._abstract)
        for kind, sock in (self._inet | unix).items():
            sock.setblocking(False)
            if kind != "udp":
                sock.listen()
        return self._inet | unix

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for kind, sock in self._sockets.items():
                selector.register(sock, selectors.EVENT_READ, kind)
            while not self._stop.is_set():
                for key, _ in selector.select(0.02):
                    if key.data == "udp":
                        self._sockets["udp"].recv(100)
                    else:
                        self._sockets[key.data].accept()[0].close()
                    self.received.append(key.data)


def left_over(folder: Path) -> list[str]:
    """Processes that see `folder` as /work, from all of /proc."""
    end = "/".join(folder.parts[-2:])  # the rest may be another mount's
    mounted = re.compile(rf"{re.escape(end)} /work ")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mounted.search((process / "mountinfo").read_text()):
                found.append((process / "cmdline").read_text().replace("\0", " ")[:200])
        except OSError:
            continue
    return found
