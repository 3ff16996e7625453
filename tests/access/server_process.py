"""`afere ui --login` as a process of its own, that can be killed and started again on the same port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


class ServerProcess:
    """The server of the project in `root`; `url` stays the same from one start to the next."""

    def __init__(self, root: Path, *options: str) -> None:
        self._root, self._options = root, options
        self._port = "0"
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "afere.cli.main",
            "ui",
            "--login",
            "--json",
            "--port",
            self._port,
            *self._options,
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AFERE_")}
        self.process = subprocess.Popen(command, cwd=self._root, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found: list[str] = []
        while not found:
            line = self.process.stdout.readline()
            assert line, "the server ended"
            found = re.findall(r'"port": (\d+)', line)
        assert self._port in ("0", found[0])
        self._port = found[0]
        self.url = f"http://127.0.0.1:{self._port}"

    def kill(self) -> None:
        """End it with SIGKILL, whatever it does."""
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
