# SPDX-License-Identifier: BSD-2-Clause
"""A Linux driver domain: netback and blkback under `xl devd`.

The same kernel and hotplug scripts as dom0's, in an initramfs with both ends
of the device drivers: what it serves comes from dom0 through frontends of its
own.
"""
import shutil

import image
import packages
import paths
from cpio import Cpio
from report import step

PROGRAMS = "dash ip ethtool losetup flock xenstore".split()
MODULES = """xen-evtchn xen-gntdev xen-privcmd xenfs xen-netfront xen-blkfront
    xen-netback xen-blkback loop bridge""".split()
ALIASES = {"sh": "dash"} | {
    f"xenstore-{verb}": "xenstore" for verb in "exists read write".split()}


def ensure():
    """Everything in build/lab/driver, made anew each time it is asked for."""
    root = image.package_tree(packages.DOM0, "root")
    paths.DRIVER.mkdir(parents=True, exist_ok=True)
    parts = image.ensure()
    with step("driver domain"):
        shutil.copy(parts.linux, paths.DRIVER / "vmlinux")
        initramfs(paths.DRIVER / "driver.cpio", image.Tree(root))


def initramfs(file, tree):
    source = paths.SOURCE
    xen = tree.one("usr/lib/xen-*.*").relative_to(tree.root)
    files = {f"usr/bin/{name}": tree.program(name) for name in PROGRAMS}
    files[f"{xen}/bin/xl"] = tree.program("xl")
    with open(file, "wb") as output:
        archive = Cpio(output)
        image.layout(archive)
        image.install(archive, tree, files, ["libgcc_s.so.1"])
        image.links(archive, tree, ALIASES | {"xl": f"/{xen}/bin/xl"},
                    set(PROGRAMS))
        image.modules(archive, tree.one("**/lib/modules/*"), MODULES)
        archive.add("init", source / "driver" / "init")
        archive.add("etc/xen/scripts/vif-bridge", source / "dom0/vif-bridge")
        archive.add("etc/xen/scripts/block", source / "dom0/block")
        archive.add("etc/xen/xl.conf", source / "dom0/xl.conf")
        archive.end()
