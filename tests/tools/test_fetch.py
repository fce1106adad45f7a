# SPDX-License-Identifier: BSD-2-Clause
"""fetch: what is used, what is refused, and what it tells its user."""

import hashlib
import io
import os
import shutil
import tarfile

import pytest

from images import TOOLS, run

NO_MIRROR = "http://127.0.0.1:9/debian"


def tar(files, compression="xz"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:" + compression) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def deb(files):
    """An ar archive like dpkg-deb's; the odd size needs padding."""
    data = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\nx"),
                          ("control.tar.xz", tar({})),
                          ("data.tar.xz", tar(files))):
        data += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (
            name.encode(), 0, 0, 0, b"100644", len(content))
        data += content + b"\n" * (len(content) % 2)
    return data


class Fetch:
    """tools/fetch with pins of its own, a cache, and no network."""

    def __init__(self, directory):
        self.directory = directory
        self.cache = directory / "cache"
        self.build = directory / "build"
        self.cache.mkdir()
        shutil.copy(TOOLS / "fetch", directory)
        (directory / "pins").write_text("# comment\n\n")

    def pin(self, component, version, name, content, kind="deb", keep=True):
        with open(self.directory / "pins", "a") as pins:
            print(component, "trixie", kind, component, version, name,
                  hashlib.sha256(content).hexdigest(), file=pins)
        if keep:
            (self.cache / name).write_bytes(content)

    def fill_disk(self):
        """From now on all disks have one megabyte left."""
        (self.directory / "sitecustomize.py").write_text(
            "import shutil\n"
            "full = shutil.disk_usage('/')._replace(free=1 << 20)\n"
            "shutil.disk_usage = lambda path: full\n")

    def __call__(self, *arguments):
        env = dict(os.environ, CACHE=str(self.cache), BUILD=str(self.build),
                   DEBIAN_MIRROR=NO_MIRROR, PYTHONPATH=str(self.directory))
        result = run(self.directory / "fetch", *arguments, env=env,
                     cwd=self.directory)
        assert "Traceback" not in result.stderr
        return result


@pytest.fixture
def fetch(tmp_path):
    return Fetch(tmp_path)


def test_a_full_disk_is_named_with_the_remedy(fetch):
    fetch.pin("thing", "1", "thing_1.deb", b"content", keep=False)
    fetch.fill_disk()
    result = fetch()
    assert result.returncode == 1
    assert "1 MB free, 200 MB needed; make room or set BUILD" in result.stderr
    assert str(fetch.build) in result.stderr


def test_uses_the_cache_and_writes_nothing(fetch):
    fetch.pin("thing", "1", "thing_1.deb", b"content")
    result = fetch()
    assert (result.returncode, result.stdout) == (0, "")
    assert not fetch.build.exists()


def test_uses_what_was_downloaded(fetch):
    fetch.pin("thing", "1", "thing_1.deb", b"content", keep=False)
    (fetch.build / "downloads").mkdir(parents=True)
    (fetch.build / "downloads" / "thing_1.deb").write_bytes(b"content")
    assert fetch("thing").returncode == 0


@pytest.mark.parametrize("place", ["cache", "build/downloads"])
def test_refuses_a_wrong_hash(fetch, place):
    fetch.pin("thing", "1", "thing_1.deb", b"content", keep=False)
    path = fetch.directory / place / "thing_1.deb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"contend")
    result = fetch("thing")
    assert result.returncode == 1
    assert f"{path}: SHA-256 differs from tools/pins" in result.stderr
    assert "remove the file" in result.stderr


def test_says_what_to_do_without_network(fetch):
    fetch.pin("thing", "1", "thing_1.deb", b"content", keep=False)
    result = fetch("thing")
    assert result.returncode == 1
    assert "Is the network up?" in result.stderr
    assert "set CACHE to a directory that holds thing_1.deb" in result.stderr
    assert not list((fetch.build / "downloads").glob("*.part"))


def test_takes_the_newest_version_that_is_there(fetch):
    fetch.pin("thing", "3", "thing_3.deb", b"three", keep=False)
    fetch.pin("thing", "2", "thing_2.deb", deb({"./version": b"2"}))
    fetch.pin("thing", "1", "thing_1.deb", deb({"./version": b"1"}))
    result = fetch("--unpack", "thing", "out")
    assert result.stdout == "fetch: thing 2 unpacked\n"
    assert (fetch.directory / "out" / "version").read_text() == "2"


def test_a_version_needs_all_of_its_files(fetch):
    fetch.pin("thing", "1", "thing_1.orig.tar.xz", b"a", "source")
    fetch.pin("thing", "1", "thing_1-1.debian.tar.xz", b"b", "source",
              keep=False)
    assert "thing_1-1.debian.tar.xz" in fetch("thing").stderr


def test_unpacks_a_package_anew(fetch):
    fetch.pin("thing", "1", "thing_1.deb", deb({"./usr/include/a.h": b"int;"}))
    old = fetch.directory / "out" / "old"
    old.parent.mkdir()
    old.write_text("")
    assert fetch("--unpack", "thing", "out").returncode == 0
    assert (old.parent / "usr/include/a.h").read_text() == "int;"
    assert not old.exists()


PATCH = b"""--- a/code.c
+++ b/code.c
@@ -1 +1 @@
-int bad;
+int good;
"""


def pin_source(fetch, code):
    fetch.pin("thing", "1-1", "thing_1.orig.tar.gz",
              tar({"thing-1/code.c": code}, "gz"), "source")
    fetch.pin("thing", "1-1", "thing_1-1.debian.tar.xz",
              tar({"debian/patches/series": b"# first\n\nfix.patch -p1\n",
                   "debian/patches/fix.patch": PATCH}), "source")


def test_unpacks_and_patches_a_source(fetch):
    pin_source(fetch, b"int bad;\n")
    result = fetch("--unpack", "thing", "out")
    assert result.returncode == 0, result.stderr
    assert (fetch.directory / "out/code.c").read_text() == "int good;\n"


def test_refuses_a_patch_that_does_not_apply(fetch):
    pin_source(fetch, b"int other;\n")
    result = fetch("--unpack", "thing", "out")
    assert result.returncode == 1
    assert "debian/patches/fix.patch does not apply" in result.stderr
    assert not (fetch.directory / "out").exists()


def test_does_not_unpack_outside_of_its_directory(fetch):
    fetch.pin("thing", "1", "thing_1.deb",
              deb({"../escaped": b"", "/also": b"", "ok": b""}))
    assert fetch("--unpack", "thing", "sub/out").returncode == 0
    assert not (fetch.directory / "sub/escaped").exists()
    assert sorted(os.listdir(fetch.directory / "sub/out")) == ["also", "ok"]


def test_refuses_what_is_no_package(fetch):
    fetch.pin("thing", "1", "thing_1.deb", b"content")
    assert "not a Debian package" in fetch("--unpack", "thing", "out").stderr


def test_names_the_components_it_knows(fetch):
    fetch.pin("thing", "1", "thing_1.deb", b"content")
    assert "nothing: not in tools/pins, which has thing" in fetch(
        "nothing").stderr


def test_points_at_a_bad_line_of_pins(fetch):
    with open(fetch.directory / "pins", "a") as pins:
        print("thing trixie deb", file=pins)
    assert "pins:3: expected the fields" in fetch().stderr
