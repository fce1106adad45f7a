# SPDX-License-Identifier: BSD-2-Clause
"""`make run` as a newcomer calls it: the demonstration, and a program of one's own."""
import os
import socket
import subprocess
import urllib.request

import pytest

from conftest import BUILD, PATIENCE, TOP, free_port
from terminal import Terminal

DEPS = os.environ.get("DEPS") or BUILD / "deps"
PROGRAM = """#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    char line[100] = "";
    FILE *f = fopen(argv[1], "r");
    if (f != NULL && fgets(line, sizeof(line), f) != NULL)
        printf("%s holds: %s", argv[1], line);
    printf("%d words, the third is <%s>\\n", argc, argc > 2 ? argv[2] : "");
    return atoi(argv[argc - 1]);
}
"""


def make_run(*words):
    done = subprocess.run(["make", "run", f"BUILD={BUILD}", f"DEPS={DEPS}", *words], cwd=TOP,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE)
    return done.returncode, done.stdout + done.stderr


def test_site_is_served_and_compared():
    port = free_port()
    status, said = make_run("ONCE=1", f"PORT={port}")
    files = [path for path in (TOP / "site").rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    assert status == 0, said
    assert f"http://localhost:{port}/ answered: " in said, said
    assert (f"all {len(files)} files of the site fetched and compared: {total} bytes, byte for byte "
            "equal") in said, said
    socket.create_server(("127.0.0.1", port)).close()  # nobody is left behind


def test_site_is_served_until_ctrl_c():
    port = free_port()
    # (within `make test` it is a make below another, which would say first where it is)
    command = ["make", "--no-print-directory", "run", f"BUILD={BUILD}", f"DEPS={DEPS}", f"PORT={port}"]
    with Terminal(command, PATIENCE, cwd=TOP) as terminal:
        terminal.await_words(f"open http://localhost:{port}/ in a browser; Ctrl-C ends it")
        assert terminal.seen.startswith("make run: needs "), terminal.seen
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert page.read() == (TOP / "site/index.html").read_bytes()
        terminal.type("\x03")
        terminal.status()
        assert "s] done\n" in terminal.seen and "Traceback" not in terminal.seen, terminal.seen
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_port_that_is_none_is_refused(port):
    status, said = make_run("ONCE=1", f"PORT={port}")
    assert status != 0 and f"PORT={port} is no port" in said, said
    assert "Traceback" not in said and "booting" not in said, said


def test_busy_port_names_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        status, said = make_run("ONCE=1", f"PORT={port}")
    assert status != 0
    assert f"port {port} of this machine cannot be used (Address already in use)" in said, said
    assert "make run PORT=" in said and "booting" not in said, said


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """(a program outside of the tree, a root file system for it)"""
    directory = tmp_path_factory.mktemp("own")
    app, root = directory / "run-own", directory / "root"
    for part in (app, root):
        part.mkdir()
    (app / "app.mk").touch()
    (app / "main.c").write_text(PROGRAM)
    (root / "note").write_text("a word to the reader\n")
    return f"APP={app}", f"ROOT={root}"


def test_own_program_gets_its_words_and_its_root(own):
    status, said = make_run(*own, 'ARGS=/note "two words" 0')
    assert status == 0, said
    assert "/note holds: a word to the reader" in said, said
    assert "4 words, the third is <two words>" in said, said


def test_status_of_an_own_program_is_said_and_no_success(own):
    status, said = make_run(*own, "ARGS=/none 3")
    assert status != 0 and "exit status 3" in said, said
