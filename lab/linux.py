# SPDX-License-Identifier: BSD-2-Clause
"""A Linux PV guest, to measure ours against.

The same kernel as dom0's, and an initramfs with nginx, iperf3 and the
frontends' modules.  fio brings 80 MB of libraries it rarely uses, so there
is a second, larger initramfs that has it too.
"""
import os
import re
import shutil
import subprocess

import image
import packages
import paths
from cpio import Cpio
from report import broken, step

PROGRAMS = "dash bash ip tc ss ping iperf3 xenstore".split()
SERVERS = ["nginx"]
MODULES = """xen-evtchn xen-gntdev xen-privcmd xenfs xen-netfront xen-blkfront
    crc32c_generic ext4 erofs""".split()
ALIASES = {"sh": "dash", "xenstore-read": "xenstore",
           "xenstore-write": "xenstore", "xenstore-ls": "xenstore"}
PAGE = b"<!DOCTYPE html><title>Linux</title>\n<p>Linux serves this.\n"


def ensure():
    """Everything in build/lab/linux, made anew each time it is asked for."""
    root = image.package_tree(packages.DOM0, "root")
    more = image.package_tree(packages.LINUX_DOMU, "root-domu")
    paths.LINUX.mkdir(parents=True, exist_ok=True)
    parts = image.ensure()
    with step("Linux guest"):
        shutil.copy(parts.linux, paths.LINUX / "vmlinux")
        tree = image.Tree(root)
        tree.merge(image.Tree(more))
        initramfs(paths.LINUX / "domu.cpio", tree, PROGRAMS + SERVERS)
        initramfs(paths.LINUX / "domu-fio.cpio", tree,
                  PROGRAMS + SERVERS + ["fio"])


def initramfs(file, tree, names):
    source = paths.SOURCE / "domu"
    with open(file, "wb") as output:
        archive = Cpio(output)
        image.layout(archive)
        image.install(archive, tree,
                      {f"usr/bin/{name}": tree.program(name) for name in names})
        image.links(archive, tree, ALIASES, set(names) | {"poweroff"})
        image.modules(archive, tree.one("**/lib/modules/*"), MODULES)
        archive.add("init", source / "init")
        archive.add("usr/bin/poweroff", source / "poweroff")
        archive.add("etc/nginx/nginx.conf", source / "nginx.conf")
        archive.data("srv/index.html", PAGE, 0o644)
        archive.end()


def moved_to(root, text):
    """The headers' own paths, wherever they lay when this was last done."""
    return re.sub(r"\S*(/usr/src/linux-headers)", rf"{root}\1", text)


def headers():
    """(directory, release): what modules for the guest's kernel are built
    against, its paths made those of where it was unpacked."""
    release = image.package_tree(packages.DOM0, "root").joinpath(
        "lib/modules")
    release = next(release.glob("*")).name
    wanted = packages.headers(release)
    root = image.package_tree(wanted, "root-headers")
    tree = root / f"usr/src/linux-headers-{release}"
    makefile = tree / "Makefile"
    makefile.write_text(moved_to(root, makefile.read_text()))
    return tree, release


def build_module(source, build):
    """The kernel module of directory (source), built in (build)."""
    tree, release = headers()
    with step(f"module for Linux {release}"):
        paths.fresh(build)
        shutil.copytree(source, build, dirs_exist_ok=True)
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        done = subprocess.run(
            ["make", "-C", tree, f"M={build}", "CC=gcc", "modules"],
            env=environment, text=True, capture_output=True)
    if done.returncode:
        raise broken("the module does not build: "
                     + done.stderr.strip()[-300:])
    return next(build.glob("*.ko"))
