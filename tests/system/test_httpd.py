# SPDX-License-Identifier: BSD-2-Clause
"""httpd on a real disk behind a real network: files, crowds, slow and absent clients."""
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from urllib.parse import quote

import pytest

from conftest import FULL, PATIENCE, TOP, cases, free_port, lab_command, make_erofs, run_script

SIZES = (0, 1, 511, 512, 513, 4095, 4096, 4097, 8192, 65535, 65536, 100_003, 1 << 20)
ODD_NAMES = ("with blank", "per%cent", "a&b=c+d", "hash#mark", "question?", "umlaut-\u00fc",
             "quote'\"", "tilde~", "semi;colon", "back\\slash", "x" * 200)


def noise(size, seed):
    blocks = (hashlib.sha256(f"{seed}.{i}".encode()).digest() for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def write(file, data):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def make_tree(root):
    """A few hundred files of all kinds."""
    for size in SIZES:
        write(root / "size" / str(size), noise(size, size))
    for i in range(300):
        write(root / "many" / f"f{i:03}", noise(i * 37, i))
    deep = root.joinpath(*(f"level{i}" for i in range(24)))
    write(deep / "bottom", b"deep\n")
    for i, name in enumerate(ODD_NAMES):
        write(root / "odd" / name, noise(100 + i, name))
    (root / "link").symlink_to("size/4097")
    (root / "links").mkdir()
    (root / "links" / "up").symlink_to("../size/65536")
    (root / "links" / "dir").symlink_to("/many")
    (root / "links" / "twice").symlink_to("up")
    write(root / "index.html", b"<!doctype html><title>front</title>\n")
    return root


def paths(root):
    """All paths below (root); links/dir, absolute, leads somewhere only in the domain."""
    for at, _, names in os.walk(root):
        found = (os.path.relpath(os.path.join(at, name), root) for name in names)
        yield from (path for path in found if path != "links/dir")
    yield "links/dir/f299"


def content(root, path):
    return (root / path.replace("links/dir/", "many/")).read_bytes()


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """(image, files to put): the disk, curl's list of what to fetch, and what must come."""
    directory = tmp_path_factory.mktemp("tree")
    root = make_tree(directory / "root")
    urls, sums = [], []
    for i, path in enumerate(sorted(paths(root))):
        urls.append(f'url = "http://10.8.0.10/{quote(path)}"\noutput = "got/{i}"')
        sums.append(f"{hashlib.sha256(content(root, path)).hexdigest()}  got/{i}")
    (directory / "urls").write_text("\n".join(urls) + "\n")
    (directory / "sums").write_text("\n".join(sums) + "\n")
    put = [directory / "urls", directory / "sums"]
    for size in (512, 4096, 4097, 1 << 20):
        put.append(shutil.copy(root / "size" / str(size), directory / f"file-{size}"))
    return make_erofs(root, directory / "root.img"), put


def serve(tree, peer, memory):
    image, put = tree
    return run_script("http.sh", "httpd", "--vif", "--disk", f"{image},ro", put=[*put, peer],
                      memory=memory)


@pytest.fixture(scope="module")
def in_32_mib(tree, peer):
    return serve(tree, peer, 32)


@pytest.fixture(scope="module")
def in_8_mib(tree, peer):
    return serve(tree, peer, 8)


@pytest.mark.skipif(not FULL, reason="the same again with more memory: make test-long")
@pytest.mark.parametrize("case", cases("http.sh"))
def test_with_32_mib(in_32_mib, case):
    in_32_mib.demand(case)


@pytest.mark.parametrize("case", cases("http.sh"))
def test_with_8_mib(in_8_mib, case):
    in_8_mib.demand(case)


# What http.sh shows already, and what takes minutes under emulation.
CROWDS = ("many_connections_at_once or silent_crowd_keeps_nobody_out or twenty_thousand_requests "
          "or slow_and_silent_clients_are_let_go")


def test_conforms(tmp_path):
    """tests/httpd, against the server as a domain; its crowds only with SYSTEM_FULL=1."""
    root = tmp_path / "root"
    subprocess.run([sys.executable, TOP / "tests/httpd/conftest.py", root], check=True)
    image = make_erofs_with_times(root, tmp_path / "root.img")
    port = free_port()
    command = lab_command("httpd", "--vif", "--disk", f"{image},ro", "--forward", f"{port}:80",
                          memory=64, cmdline="--timeout 20 --connections 700")
    with open(tmp_path / "lab.log", "wb") as log:
        domain = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  start_new_session=True)
    try:
        wait_for_page(port, domain, tmp_path / "lab.log")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             *([] if FULL else ["-k", f"not ({CROWDS})"]), TOP / "tests/httpd"],
            env={**os.environ, "HTTPD_URL": f"http://127.0.0.1:{port}/", "HTTPD_TIMEOUT": "20"},
            capture_output=True, text=True, timeout=2 * PATIENCE)
        assert done.returncode == 0, done.stdout[-8000:] + (tmp_path / "lab.log").read_text()[-3000:]
    finally:
        os.killpg(domain.pid, signal.SIGINT)
        domain.wait(PATIENCE)


def make_erofs_with_times(root, image):
    subprocess.run(["mkfs.erofs", "--quiet", image, root], check=True,
                   stdout=subprocess.DEVNULL)
    return image


def wait_for_page(port, domain, log):
    import time
    import urllib.request
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert domain.poll() is None, log.read_text()
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).read()
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"no page\n{log.read_text()}")
