# SPDX-License-Identifier: BSD-2-Clause
"""How the lab treats QEMU as a process."""
import os
import subprocess
import sys

import pytest

import qemu

PROGRAM = f"""
import os, subprocess, sys
sys.path.insert(0, {os.path.dirname(qemu.__file__)!r})
import qemu
os.nice(7)
process = subprocess.Popen(["sleep", "60"], start_new_session=True)
qemu.be_as_nice(process.pid)
print(open(f"/proc/{{process.pid}}/autogroup").read())
process.kill()
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/autogroup"), reason="Linux has no groups of sessions here")
def test_session_of_qemu_is_as_nice_as_the_lab():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["nice", "7"], done.stdout


def test_a_system_without_groups_is_no_error():
    qemu.be_as_nice(0)  # there is no such process
