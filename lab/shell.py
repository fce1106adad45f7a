# SPDX-License-Identifier: BSD-2-Clause
"""A shell in dom0, and the building of everything in advance."""
import accel
import dom0
import image
import paths
import terminal
from report import OK, Failure, say


def standard(directory):
    parts = image.ensure()
    shape = dom0.shape_for(accel.choose(parts), 0)
    return dom0.ensure_snapshot(shape, parts, directory / "snapshot")


def run():
    directory = paths.run_dir()
    snapshot = standard(directory)
    (directory / "job" / "pwd").mkdir(parents=True)
    (directory / "job" / "settings").write_text("DISKS=0\n")
    machine = snapshot.restore(directory, None)
    try:
        say("dom0's shell; Ctrl-] leaves")
        machine.tell("shell")
        terminal.attach(machine.serial)
    finally:
        machine.quit()
    return Failure(OK, "left dom0")


def build(request):
    standard(paths.run_dir())
    if request.linux_domu:
        import linux
        linux.ensure()
    if request.driver_domain:
        import driver
        driver.ensure()
    return Failure(OK, "built")
