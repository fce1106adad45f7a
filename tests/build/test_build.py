# SPDX-License-Identifier: BSD-2-Clause
"""The build's own promises: the same image from anywhere, from either compiler, and no more in it than
the program uses.  Third-party code is taken from $DEPS as it lies there."""
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD") or TOP / "build").resolve()
DEPS = Path(os.environ.get("DEPS") or BUILD / "deps").resolve()
SOURCES = ("Makefile", "apps", "bench", "arch", "frontends", "kernel", "lib", "linker", "tests", "tools")
HELLO_LIMIT = 131072


def make(tree, build, *words, status=0, **environment):
    done = subprocess.run(["make", "-j2", f"BUILD={build}", f"DEPS={DEPS}", *map(str, words)],
                          cwd=tree, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, **environment})
    text = done.stdout + done.stderr
    assert done.returncode == status, text
    return text


def copy_tree(to):
    """The sources, without anything that was built."""
    to.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    for name in SOURCES:
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, to / name, ignore=ignore, symlinks=True)
        else:
            shutil.copy(TOP / name, to / name)
    return to


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """(a tree elsewhere, its build directory), with hello built in it."""
    directory = tmp_path_factory.mktemp("copy")
    tree = copy_tree(directory / "a" / "longer" / "path")
    make(tree, tree / "build", "hello")
    return tree, tree / "build"


@pytest.fixture(scope="module")
def hello():
    """hello as this tree builds it."""
    make(TOP, BUILD, "hello")
    return BUILD / "images" / "hello"


@pytest.fixture(scope="module")
def app(copy, tmp_path_factory):
    """A new app from the template, outside of the tree, built."""
    directory = tmp_path_factory.mktemp("apps") / "greeter"
    make(*copy, "new", f"APP={directory}")
    make(*copy, f"APP={directory}")
    return directory


def symbols(image):
    out = subprocess.run(["nm", "--defined-only", f"{image}.debug"], check=True,
                         capture_output=True, text=True).stdout
    return {line.split()[2] for line in out.splitlines()}


def lab(image, *words):
    done = subprocess.run([TOP / "lab/lab", "run", image, "--memory", "16", "--timeout", "900",
                           *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_another_directory_gives_the_same_image(copy, hello):
    _, build = copy
    assert (build / "images/hello").read_bytes() == hello.read_bytes()


def test_sources_stay_untouched(copy, app):
    tree, _ = copy
    made = {path.name for path in tree.iterdir()} - {"build"}
    assert made == set(SOURCES)


def test_nothing_is_built_twice(copy):
    text = make(*copy, "hello")
    assert "CC" not in text and "LINK" not in text


def test_changed_header_rebuilds_what_includes_it(copy):
    tree, build = copy
    header = tree / "kernel/option.h"
    header.write_text(header.read_text() + "/* changed */\n")
    text = make(tree, build, "hello")
    assert "kernel/option.c" in text and "kernel/main.c" in text
    assert "lib/base/divide.c" not in text


@pytest.mark.skipif(not shutil.which("clang"), reason="apt-get install clang")
def test_clang_builds_what_is_small_and_boots(copy):
    tree, _ = copy
    make(tree, tree / "build-clang", "CC=clang", "hello")
    hello = tree / "build-clang/images/hello"
    assert hello.stat().st_size <= HELLO_LIMIT
    assert "Hello from Paravane." in lab(hello)


def test_app_outside_of_the_tree_boots(copy, app):
    _, build = copy
    assert "greeter: 0 arguments" in lab(build / "images" / "greeter")


def test_new_does_not_overwrite(copy, app):
    before = (app / "main.c").read_text()
    text = make(*copy, "new", f"APP={app}", status=2)
    assert "is there already" in text
    assert (app / "main.c").read_text() == before


def test_app_without_a_list_takes_all_its_sources(copy, tmp_path):
    directory = tmp_path / "pair"
    directory.mkdir()
    (directory / "app.mk").write_text("# Two files and no list.\n")
    (directory / "main.c").write_text("int other(void);\nint main(void) { return other(); }\n")
    (directory / "other.c").write_text("int other(void);\nint other(void) { return 3; }\n")
    make(*copy, f"APP={directory}")
    assert "other" in symbols(copy[1] / "images/pair")


def test_app_that_has_moved_is_built_from_where_it_is(copy, tmp_path):
    for place, name in (("here", "first"), ("there", "second")):
        directory = tmp_path / place / "mover"
        directory.mkdir(parents=True)
        (directory / "app.mk").write_text("")
        (directory / "main.c").write_text(f"volatile int {name};\nint main(void) {{ return {name}; }}\n")
        make(*copy, f"APP={directory}")
        assert name in symbols(copy[1] / "images/mover")
        shutil.rmtree(directory)


def test_app_with_a_list_and_flags_takes_only_these(copy, tmp_path):
    directory = tmp_path / "listed"
    directory.mkdir()
    (directory / "app.mk").write_text("app-srcs := main.c\napp-cflags := -DANSWER=main\n")
    (directory / "main.c").write_text("int ANSWER(void) { return 0; }\n")
    (directory / "broken.c").write_text("this is no C\n")
    make(*copy, f"APP={directory}")
    assert "main" in symbols(copy[1] / "images/listed")


def test_error_of_an_app_is_named(copy, tmp_path):
    directory = tmp_path / "wrong"
    directory.mkdir()
    (directory / "app.mk").write_text("")
    (directory / "main.c").write_text("int main(void) { return missing_function(); }\n")
    text = make(*copy, f"APP={directory}", status=2)
    assert "missing_function" in text
    assert not (copy[1] / "images/wrong").exists()


def test_app_that_is_already_there_under_another_spelling(copy):
    assert "warning" not in make(*copy, "APP=./apps/hello/")


@pytest.mark.parametrize("app, words", [
    ("/nowhere/app", "there is no /nowhere/app/app.mk; make new APP=/nowhere/app writes one"),
    ("with blank/app", "make cannot work with a path that has blanks"),
])
def test_app_that_cannot_be_is_refused(copy, app, words):
    assert words in make(*copy, f"APP={app}", status=2)


def test_app_named_as_one_of_the_tree_is_refused(copy, tmp_path):
    directory = tmp_path / "hello"
    for words in ([], ["new"]):
        text = make(*copy, *words, f"APP={directory}", status=2)
        assert "there is apps/hello already" in text
    assert not directory.exists()


@pytest.mark.parametrize("target", ["bundle", "image-info"])
def test_target_of_one_app_asks_for_it(copy, target):
    assert f"make {target} APP=apps/hello" in make(*copy, target, status=2)


def test_hello_contains_no_driver_and_no_network(hello):
    names = symbols(hello)
    for prefix in ("netfront_", "blkfront_", "tcp_", "udp_", "etharp_", "erofs_", "netif_", "xb_"):
        assert not [name for name in names if name.startswith(prefix)]
    assert {"main", "kernel_main", "printf"} <= names


def test_hello_is_small(hello):
    assert hello.stat().st_size <= HELLO_LIMIT


def test_image_info_shows_sizes_and_notes(copy):
    text = make(*copy, "image-info", "APP=apps/hello")
    for word in ("kernel", "lib/libc", "newlib", "arch/x86", "xen-3.0", "text", "rodata"):
        assert word in text


def test_bundle_holds_image_and_configuration(copy):
    make(*copy, "bundle", "APP=apps/hello")
    bundle = copy[1] / "hello.tar.gz"
    with tarfile.open(bundle) as tar:
        assert sorted(tar.getnames()) == ["hello/hello", "hello/hello.cfg"]
        image = tar.extractfile("hello/hello").read()
        config = tar.extractfile("hello/hello.cfg").read().decode()
    assert image == (copy[1] / "images/hello").read_bytes()
    assert_starts_unedited(config)
    first = bundle.read_bytes()
    make(*copy, "bundle", "APP=apps/hello")
    assert bundle.read_bytes() == first


def test_bundle_holds_what_the_app_adds(copy):
    make(*copy, "bundle", "APP=apps/pvbench")
    with tarfile.open(copy[1] / "pvbench.tar.gz") as tar:
        assert sorted(tar.getnames()) == ["pvbench/on-xen-host", "pvbench/pvbench", "pvbench/pvbench.cfg"]
        assert tar.extractfile("pvbench/on-xen-host").read() == (TOP / "bench/on-xen-host").read_bytes()
        assert tar.getmember("pvbench/on-xen-host").mode & 0o111


def assert_starts_unedited(config):
    """It is xl's language, names the image beside it, and asks for no bridge and no disk."""
    settings = {}
    exec(config, {}, settings)  # assignments of strings and numbers are Python as well
    assert settings["kernel"] == "hello" and settings["name"] == "hello"
    assert settings["type"] == "pv" and settings["memory"] >= 4
    assert "vif" not in settings and "disk" not in settings
    assert "#vif" in config and "#disk" in config


def made_there(copy, name):
    """A build directory with an image, a snapshot of dom0 and downloads in it."""
    build = copy[0] / name
    for file in ("images/hello", "lab/bookworm/snap/ram", "downloads/package", "downloads/lab/package"):
        (build / file).parent.mkdir(parents=True, exist_ok=True)
        (build / file).touch()
    return build


def test_clean_keeps_only_the_downloads(copy):
    build = made_there(copy, "to-clean")
    make(copy[0], build, "clean")
    assert [path.name for path in build.iterdir()] == ["downloads"]
    assert (build / "downloads/package").exists() and (build / "downloads/lab/package").exists()
    make(copy[0], build, "distclean")
    assert not build.exists()


def test_clean_has_nothing_against_a_clean_tree(copy):
    for target in ("clean", "distclean"):
        make(copy[0], copy[0] / "never-built", target)


def test_another_processor_is_refused(tmp_path):
    uname = tmp_path / "uname"
    uname.write_text("#!/bin/sh\necho aarch64\n")
    uname.chmod(0o755)
    text = make(TOP, BUILD, "hello", status=2, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "builds on x86-64 hosts only; this one is aarch64" in text


def test_help_names_every_target():
    text = make(TOP, BUILD, "help")
    for target in ("all", "run", "test", "check", "new", "bundle", "image-info", "clean"):
        assert f"\n  {target} " in text
