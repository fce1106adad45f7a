# SPDX-License-Identifier: BSD-2-Clause
"""The console of a domain, typed into: by dom0, and by someone at a terminal."""
import pytest

from conftest import PATIENCE, TOP, cases, lab_command, run_script
from terminal import Terminal

LET_GO = "\x1d"


@pytest.fixture(scope="module")
def console():
    return run_script("console.sh", "talk")


@pytest.mark.parametrize("case", cases("console.sh"))
def test_console(console, case):
    console.demand(case)


def test_this_terminal_is_the_console():
    with Terminal(lab_command("talk", "--interactive"), PATIENCE) as terminal:
        terminal.await_words("listening")
        terminal.type("good morning\r")
        terminal.await_words("heard: good morning")
        terminal.type("quit 7\r")
        assert terminal.status() == 4, terminal.seen
        assert "exit status 7" in terminal.seen


def test_a_key_lets_go_of_the_console():
    with Terminal(lab_command("talk", "--interactive"), PATIENCE) as terminal:
        terminal.await_words("listening")
        terminal.type(LET_GO)
        assert terminal.status() == 0, terminal.seen


def test_shell_in_dom0():
    with Terminal([TOP / "lab/lab", "shell"], PATIENCE) as terminal:
        terminal.await_words("#")
        terminal.type("echo $((6 * 7)) is the answer; xl list\r")
        terminal.await_words("42 is the answer")
        terminal.await_words("Domain-0")
        terminal.type(LET_GO)
        assert terminal.status() == 0, terminal.seen
