# SPDX-License-Identifier: BSD-2-Clause
"""tests/run: what it makes of a suite's words and of its status."""
import os
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / "run"


@pytest.fixture
def suites(tmp_path):
    """tests/run as a module."""
    loader = SourceFileLoader("suites", str(RUN))
    module = module_from_spec(spec_from_loader("suites", loader))
    loader.exec_module(module)
    module.BUILD = tmp_path
    return module


@pytest.fixture
def run(suites, capsys):
    """Run a suite that is a line of sh: ((passed, failed), what the terminal shows)."""
    def once(line):
        sums = suites.run("name", ["sh", "-c", line])
        return sums, capsys.readouterr().out
    return once


@pytest.mark.parametrize("line, sums", [
    ("echo 12 passed, 0 failed", (12, 0)),
    ("echo 12 passed, 3 failed; exit 1", (12, 3)),
    ("echo 2 failed, 108 passed, 1 skipped in 380.1s; exit 1", (108, 2)),
    ("echo 1 passed, 0 failed; echo 5 passed, 0 failed", (5, 0)),
    ("echo 5 passed, 0 failed; exit 1", (5, 1)),
    ("echo nothing to count", (0, 1)),
    ("exit 70", (0, 1))])
def test_sums(run, line, sums):
    assert run(line)[0] == sums


def test_what_was_not_run_is_said_though_nothing_failed(run):
    reason = "SKIPPED [1] tests/system/test_domains.py:9: needs 14 GiB of memory"
    sums, said = run(f"echo '{reason}'; echo 3 passed, 1 skipped")
    assert sums == (3, 0)
    assert "not run: [1] tests/system/test_domains.py:9: needs 14 GiB of memory" in said


def test_words_of_a_failed_suite_are_shown(run):
    assert "    the reason" in run("echo the reason; echo 1 passed, 1 failed; exit 1")[1]
    assert "the reason" not in run("echo the reason; echo 1 passed, 0 failed")[1]


def test_some_suites_run_beside_the_others_and_yield(suites, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # each waits for the other to open it
    table = {"host": ["sh", "-c", f"echo $(nice) >{fifo}; echo 1 passed, 0 failed"],
             "system": ["sh", "-c", f"read nice <{fifo}; echo $nice passed, 2 failed; exit 1"]}
    assert sorted(suites.run_all(table, list(table))) == [(1, 0), (19, 2)]


def test_ctrl_c_ends_what_runs_beside(suites, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    ended = tmp_path / "ended"
    began = tmp_path / "began"
    os.mkfifo(began)
    table = {"host": ["sh", "-c", f"trap 'echo >{ended}; exit 1' TERM; echo >{began}; sleep 100 & wait"],
             "system": []}
    suites.run_command = lambda *_: began.read_text() and interrupted()
    with pytest.raises(KeyboardInterrupt):
        suites.run_all(table, list(table))
    assert ended.exists()
