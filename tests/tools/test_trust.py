# SPDX-License-Identifier: BSD-2-Clause
"""tests/check-trust: it passes as things are, and reports each rule that is broken in a copy."""
import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    top = tmp_path_factory.mktemp("trust")
    for room in ("frontends", "kernel", "lib"):
        shutil.copytree(TOP / room, top / room)
    (top / "tests").mkdir()
    shutil.copy(TOP / "tests" / "check-trust", top / "tests")
    return top


def check(top):
    out = subprocess.run(["sh", top / "tests" / "check-trust"], capture_output=True, text=True)
    assert not out.stderr
    return out.returncode, out.stdout


@pytest.fixture
def check_with(copy):
    """What the check says of a copy in which (line) was added to (file)."""
    changed = []

    def add(file, line):
        changed.append((copy / file, (copy / file).read_text()))
        (copy / file).write_text(changed[-1][1] + line + "\n")
        return check(copy)
    yield add
    for file, before in changed:
        file.write_text(before)


def test_passes_as_things_are(copy):
    status, said = check(copy)
    assert status == 0 and said.endswith(" passed, 0 failed\n") and said.count("\n") == 1


@pytest.mark.parametrize("file, line, said", [
    ("frontends/netfront/rx.c", "    n = ring->page->rsp_prod;", "a ring index or slot outside of ring.h"),
    ("lib/net/nic.c", "    page->req_event = 1;", "a ring index or slot outside of ring.h"),
    ("kernel/xenstore.c", "    n = ring->rsp_cons;", "an index of a byte ring"),
    ("frontends/common/life.c", "    if (flags & GTF_reading)", "a grant entry outside of grant.c"),
    ("kernel/console.c", "    w = info->evtchn_pending[0];", "an event word outside of evtchn"),
    ("frontends/blkfront/segment.c", "    struct list *l = p->va;", "a granted page seen as a struct"),
    ("frontends/blkfront/queue.c", "    ASSERT(id < n);", "an ASSERT or panic"),
    ("frontends/netfront/rx.c", "    ASSERT(id < n);", "2 in frontends/netfront/rx.c, not 1"),
    ("kernel/xenstore.c", "    ASSERT(id < n);", "1 in kernel/xenstore.c, not 0"),
    ("kernel/xswatch.c", '    panic("no");', "1 in kernel/xswatch.c, not 0"),
    ("lib/net/nic.c", '    LWIP_ASSERT("len", len > 0);', "1 in lib/net/nic.c, not 0"),
    ("lib/fs/erofs.c", "    abort();", "1 in lib/fs/erofs.c, not 0"),
    ("frontends/common/xenbus.c", "    (void)wait_until(&q, is_done(), NEVER);",
     "a wait without a deadline:\n1 in frontends/common/xenbus.c, not 0"),
    ("kernel/xenstore.c", "    return ask(path, NEVER);", "a wait without a deadline"),
    ("frontends/netfront/netfront.c", "    thread_join(t);", "a wait without a deadline")])
def test_reports(check_with, file, line, said):
    status, out = check_with(file, line)
    assert status == 1 and said in out


@pytest.mark.parametrize("line", [
    "/* An ASSERT(x) or NEVER in a comment. */",
    "    struct list *l = p->va; /* written only */"])
def test_what_is_no_breach(check_with, line):
    assert check_with("frontends/blkfront/segment.c", line)[0] == 0


def test_reports_files_that_are_gone(copy):
    """So that one with another name does not slip out of sight."""
    file = copy / "kernel" / "xswatch.c"
    gone = file.rename(copy / "kernel" / "watches.c")
    status, said = check(copy)
    gone.rename(file)
    assert status == 1 and "kernel/xswatch.c is not there" in said
