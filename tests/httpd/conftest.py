# SPDX-License-Identifier: BSD-2-Clause
"""The server under test: HTTPD_URL, or a native build of apps/httpd under sanitizers.

HTTPD_URL=http://host:port/ names a server that serves the files of TREE (below) and was started
with --timeout HTTPD_TIMEOUT (20 is good under emulation) --connections 700;
`conftest.py DIR` makes the files.  Without it, DEPS names the directory of the
unpacked third-party code (default: build/deps).
"""
import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from client import Client

TOP = Path(__file__).resolve().parents[2]
TIMEOUT = int(os.environ.get("HTTPD_TIMEOUT", "2"))
CONNECTIONS = 700
WARNINGS = "-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes " \
           "-Wvla -Wundef -Wwrite-strings -Werror"
SANITIZE = "-std=gnu11 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer " \
           "-fsanitize=address,undefined -fno-sanitize-recover=all"
MTIME = 1_700_000_000


def noise(size):
    """Reproducible bytes that no error maps onto themselves."""
    blocks = (hashlib.sha256(str(i).encode()).digest()
              for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


TREE = {
    "index.html": b"<!doctype html><title>front</title>front\n",
    "empty.txt": b"",
    "one.txt": b"1",
    "style.css": b"p{color:red}\n",
    "with blank & more.txt": b"blank\n",
    "dir/index.html": b"in dir\n",
    "dir/deep/page.html": b"deep\n",
    "noindex/file.bin": noise(4097),
    "block.bin": noise(4096),
    "odd.bin": noise(49152 + 1),
    "big.bin": noise(3_000_001),
}


def make_files(root):
    for name, data in TREE.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (MTIME, MTIME))
    return root


def build(directory):
    parser = Path(os.environ.get("DEPS", TOP / "build" / "deps")) / "http-parser"
    if not (parser / "http_parser.h").exists():
        pytest.exit(f"no {parser}: run 'make deps' or set DEPS", returncode=2)
    binary = directory / "httpd"
    ours = [f for f in sorted((TOP / "apps/httpd").glob("*.c"))
            if f.name != "status_paravane.c"]
    ours.append(TOP / "tests/httpd/status_host.c")
    vendor = directory / "http_parser.o"
    subprocess.run(["gcc", *SANITIZE.split(), "-w", "-c",
                    parser / "http_parser.c", "-o", vendor], check=True)
    subprocess.run(["gcc", *SANITIZE.split(), *WARNINGS.split(), f"-I{TOP}",
                    "-isystem", parser, *ours, vendor, "-o", binary],
                   check=True)
    return binary


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A native httpd; its log and its end are part of the test."""

    def __init__(self, binary, root, directory, *options):
        self.port = free_port()
        self.log = directory / f"log.{self.port}"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [binary, "--port", str(self.port), "--root", root,
                 "--timeout", str(TIMEOUT), *options],
                stdout=log, stderr=log)
        self.client = Client("127.0.0.1", self.port)
        self.client.await_open()

    def stop(self):
        """It was still alive, and no sanitizer complained."""
        ended = self.process.poll()
        self.process.terminate()
        self.process.wait()
        text = self.log.read_text()
        assert ended is None, text
        assert "ERROR" not in text and "runtime error" not in text, text


@pytest.fixture(scope="session")
def native(tmp_path_factory):
    """(start): start(root, options...) runs a server of our own."""
    directory = tmp_path_factory.mktemp("httpd")
    binary = build(directory)
    running = []

    def start(root, *options):
        running.append(Server(binary, root, directory, *options))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="session")
def http(request, files):
    url = os.environ.get("HTTPD_URL")
    if url:
        parts = urlsplit(url)
        return Client(parts.hostname, parts.port or 80)
    start = request.getfixturevalue("native")
    return start(files, "--connections", str(CONNECTIONS)).client


@pytest.fixture
def needs_native(request):
    if "HTTPD_URL" in os.environ:
        pytest.skip("starts a server of its own")
    return request.getfixturevalue("native")


if __name__ == "__main__":
    make_files(Path(sys.argv[1]))
