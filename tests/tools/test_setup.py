# SPDX-License-Identifier: BSD-2-Clause
"""setup: on a pretended machine whose PATH has only what the test puts there."""

import pytest

from images import TOOLS, run

ALL = ["gcc", "objdump", "make", "python3", "patch", "xz",
       "qemu-system-x86_64", "zstd", "mkfs.erofs", "pytest-3", "clang"]


class Machine:
    def __init__(self, directory):
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.log = directory / "log"
        for tool in ("sed", "env", "tail", "mktemp", "rm", "cat"):
            (self.bin / tool).symlink_to(f"/usr/bin/{tool}")
        self.program("uname", "echo x86_64")
        self.program("id", "echo 0")

    def program(self, name, script=":"):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def setup(self, *arguments):
        return run("/bin/sh", TOOLS / "setup", *arguments,
                   env={"PATH": str(self.bin), "LOG": str(self.log)})

    def apt_installs(self, script):
        self.program("apt-get", f'echo "$@" >>"$LOG"\n{script}')


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def have(machine, names):
    for name in names:
        machine.program(name)


def test_does_nothing_when_all_is_there(machine):
    have(machine, ALL)
    result = machine.setup("run")
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_says_what_is_missing_and_why(machine):
    have(machine, [name for name in ALL if name not in ("patch", "zstd")])
    result = machine.setup("--check", "run")
    assert result.returncode == 1
    assert "missing: patch, which applies Debian's patches" in result.stdout
    assert "missing: zstd, which" in result.stdout
    assert result.stderr == "setup: run: tools/setup run\n"


def test_a_build_needs_less_than_a_run(machine):
    have(machine, ALL[:6])
    assert machine.setup("--check", "build").returncode == 0
    assert "qemu-system-x86" in machine.setup("--check", "run").stdout


def test_installs_what_is_missing(machine):
    have(machine, ALL[:5])
    machine.apt_installs(f'printf "#!/bin/sh\\n" >{machine.bin}/xz; '
                         f'/bin/chmod +x {machine.bin}/xz')
    result = machine.setup("build")
    assert result.returncode == 0, result.stderr
    assert machine.log.read_text() == \
        "install -y -q --no-install-recommends xz-utils\n"


def test_reads_package_lists_only_when_needed(machine):
    have(machine, ALL[:5])
    machine.apt_installs(f"""
case $1 in
update) >{machine.log}.updated ;;
install) [ -e {machine.log}.updated ] || exit 100
    printf "#!/bin/sh\\n" >{machine.bin}/xz; /bin/chmod +x {machine.bin}/xz ;;
esac""")
    assert machine.setup("build").returncode == 0
    assert [line.split()[0] for line in
            machine.log.read_text().splitlines()] == \
        ["install", "update", "install"]


def test_uses_sudo_when_not_root(machine):
    have(machine, ALL[:5])
    machine.apt_installs(":")
    machine.program("id", "echo 1000")
    result = machine.setup("build")
    assert "not root, and no sudo; as root, run: apt-get install xz-utils" \
        in result.stderr
    machine.program("sudo", 'echo sudo >>"$LOG"; exec "$@"')
    result = machine.setup("build")
    assert machine.log.read_text().startswith("sudo\ninstall")
    assert "still not found: xz-utils" in result.stderr


def test_shows_why_apt_failed(machine):
    have(machine, ALL[:5])
    machine.apt_installs("echo E: no route to mirror; exit 100")
    result = machine.setup("build")
    assert result.returncode == 1
    assert "E: no route to mirror" in result.stderr
    assert "apt-get update failed; is the network up?" in result.stderr


def test_refuses_other_processors(machine):
    machine.program("uname", "echo aarch64")
    assert "x86-64 only" in machine.setup().stderr


def test_refuses_unknown_groups(machine):
    assert "usage: tools/setup" in machine.setup("everything").stderr
