# SPDX-License-Identifier: BSD-2-Clause
"""What the lab says on stderr, how it fails, and what its exit codes mean."""
import sys
import time
from contextlib import contextmanager

OK, CRASHED, CREATE_FAILED, ENDED, UNSEEN, DOM0_DIED = 0, 2, 3, 4, 5, 6
USAGE, LAB_FAILED, HUNG = 64, 70, 124


class Failure(Exception):
    """The run ends here: an exit code and the one line that names the cause."""

    def __init__(self, code, cause):
        super().__init__(cause)
        self.code = code
        self.cause = cause


def broken(cause):
    """The lab itself cannot go on."""
    return Failure(LAB_FAILED, cause)


def misuse(cause):
    """The command line asks for something that is not there."""
    return Failure(USAGE, cause)


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(name):
    """One step of work: announced, then its time."""
    start = time.monotonic()
    say(f"{name} ...")
    yield
    say(f"{name}: {time.monotonic() - start:.1f} s")


def show(title, text):
    """A titled block of a failure report."""
    print(f"---- {title} ----\n{text.rstrip()}", file=sys.stderr, flush=True)
