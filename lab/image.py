# SPDX-License-Identifier: BSD-2-Clause
"""The dom0 image: Xen, a Linux kernel, and an initramfs that is all of dom0.

Made of unpacked distribution packages: named programs, the shared libraries
they ask for (read from the files, not from package dependencies), a handful
of kernel modules, and the scripts of lab/dom0.
"""
import gzip
import hashlib
import json
import re
import subprocess

import doctor
import kernel
import packages
import paths
from cpio import Cpio
from report import broken, step

PROGRAMS = """dash bash ip bridge tc ss ethtool brctl ping arping tcpdump curl
    socat nc.openbsd iperf3 wrk fio mke2fs e2fsck debugfs dumpe2fs tune2fs
    resize2fs mkfs.erofs fsck.erofs dump.erofs flock losetup blkdiscard dmsetup
    taskset setsid xenstore dnsmasq""".split()
XEN_PROGRAMS = """xl xenctx xenconsole xenconsoled xenstored xen-init-dom0
    libxl-save-helper xentrace xentop xenperf xenpm xen-diag xen-hptool
    xen-mfndump lsevtchn""".split()
LIBRARIES = """libgcc_s.so.1 libxengnttab.so.1 libxenevtchn.so.1
    libxenstore.so.4 libxencall.so.1 libxenforeignmemory.so.1""".split()
# busybox's own shell would take its applets for ip, ping, losetup and so on.
ALIASES = {"sh": "dash"} | {
    f"mkfs.{kind}": "mke2fs" for kind in ("ext2", "ext3", "ext4")} | {
    f"xenstore-{verb}": "xenstore"
    for verb in "chmod exists list ls read rm watch write".split()}
MODULES = """xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-netback
    xen-blkback loop dm_mod dm_flakey dm_delay bridge tun sch_netem virtio_pci
    virtio_net virtio_console virtio_scsi sd_mod 9p 9pnet_virtio crc32c_generic
    crc32c-cryptoapi ext4 erofs""".split()
DIRECTORIES = """proc sys dev tmp run job root srv var/lock var/log/xen
    var/log/nginx var/lib/xen var/lib/xenstored var/lib/nginx""".split()


class Image:
    """The built parts, in a directory named after all that decides them."""

    def __init__(self, directory):
        self.dir = directory
        self.key = directory.name
        self.xen = directory / "xen"
        self.linux = directory / "vmlinux"
        self.initramfs = directory / "dom0.cpio"


def recipe():
    """A hash of everything here that decides what the image contains."""
    parts = sorted((paths.SOURCE / "dom0").iterdir()) + [
        paths.SOURCE / name for name in ("image.py", "kernel.py", "cpio.py")]
    wanted = " ".join(package_list(packages.DOM0)).encode()
    texts = [part.read_bytes() for part in parts]
    return hashlib.sha256(b"\0".join([wanted, *texts])).hexdigest()[:16]


def package_list(names):
    return names + [packages.FOLLOWED.pattern]


def package_tree(names, directory):
    """Unpacked packages, fetched unless they are there."""
    root = paths.suite_dir() / directory
    stamp = paths.suite_dir() / f"{directory}.json"
    wanted = package_list(names)
    if stamp.exists() and json.loads(stamp.read_text())["wanted"] == wanted:
        return root
    versions = packages.install(names, root)
    stamp.write_text(json.dumps({"wanted": wanted, "versions": versions}))
    return root


def ensure():
    """The image, built if it is missing or its recipe has changed."""
    directory = paths.suite_dir() / "image" / recipe()
    if not directory.exists():
        with paths.making(directory, keep=2) as draft:
            if draft:
                doctor.require()
                root = package_tree(packages.DOM0, "root")
                with step("dom0 image"):
                    build(Image(draft), Tree(root))
    return Image(directory)


def build(image, tree):
    image.xen.write_bytes(
        gzip.decompress(tree.one("boot/xen-*.gz").read_bytes()))
    image.linux.write_bytes(
        kernel.vmlinux(tree.one("boot/vmlinuz-*").read_bytes()))
    with open(image.initramfs, "wb") as file:
        archive = Cpio(file)
        layout(archive)
        programs(archive, tree)
        modules(archive, tree.one("**/lib/modules/*"), MODULES)
        configuration(archive, tree)
        archive.end()


class Tree:
    """A directory of unpacked packages, seen through file names."""

    def __init__(self, root):
        self.root = root
        self.executables = {}
        self.libraries = {}
        for path in sorted(root.rglob("*")):
            if path.parent.name in ("bin", "sbin") and path.is_file():
                self.executables.setdefault(path.name, path)
            if ".so" in path.name and path.exists():
                self.libraries.setdefault(path.name, path.resolve())

    def merge(self, other):
        """See what another directory has as well."""
        self.executables = other.executables | self.executables
        self.libraries = other.libraries | self.libraries

    def one(self, pattern):
        found = sorted(self.root.glob(pattern))
        if not found:
            raise broken(f"the packages hold no {pattern}")
        return found[-1]

    def program(self, name):
        if name not in self.executables:
            raise broken(f"the packages hold no program {name}")
        return self.executables[name]

    def needed(self, files):
        """Library name -> file, for everything these files load."""
        found, fresh = {}, list(files)
        while fresh:
            names = [n for n in shared_libraries(fresh) if n not in found]
            missing = [n for n in names if n not in self.libraries]
            if missing:
                raise broken("the packages hold no " + ", ".join(missing))
            found |= {name: self.libraries[name] for name in names}
            fresh = [self.libraries[name] for name in names]
        return found


def shared_libraries(files):
    shown = subprocess.run(["readelf", "-d", *files], text=True, check=True,
                           capture_output=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", shown))


def layout(archive):
    """Directories and files any small Linux needs."""
    for directory in DIRECTORIES:
        archive.directory(directory)
    archive.character_device("dev/console", 5, 1)
    for link in ("bin", "sbin", "usr/sbin"):
        archive.symlink(link, "/usr/bin")
    archive.symlink("lib64", "/usr/lib/x86_64-linux-gnu")
    archive.symlink("lib", "/usr/lib")
    archive.symlink("var/run", "/run")
    archive.data("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
    archive.data("etc/group", b"root:x:0:\n", 0o644)
    archive.data("etc/hosts", b"127.0.0.1 localhost\n", 0o644)
    archive.data("etc/services", b"http 80/tcp\nhttps 443/tcp\n", 0o644)


def programs(archive, tree):
    """Everything in /usr/bin; libxl knows its helpers by a longer path."""
    xen = tree.one("usr/lib/xen-*.*").relative_to(tree.root)
    files = {f"usr/bin/{name}": tree.program(name) for name in PROGRAMS}
    files |= {f"{xen}/bin/{name}": tree.program(name) for name in XEN_PROGRAMS}
    aliases = ALIASES | {name: f"/{xen}/bin/{name}" for name in XEN_PROGRAMS}
    install(archive, tree, files, LIBRARIES)
    links(archive, tree, aliases, set(PROGRAMS))


def install(archive, tree, files, extra=()):
    """Programs and every shared library they or the extra ones need."""
    libraries = {name: tree.libraries[name] for name in extra}
    libraries |= tree.needed([*files.values(), *libraries.values()])
    for name, source in libraries.items():
        archive.add(f"usr/lib/x86_64-linux-gnu/{name}", source)
    for name, source in files.items():
        archive.add(name, source)


def links(archive, tree, aliases, taken):
    """Second names, and busybox for all that no other program provides."""
    program = tree.program("busybox")
    archive.add("usr/bin/busybox", program)
    applets = subprocess.run([program, "--list"], text=True, check=True,
                             capture_output=True).stdout.split()
    applets = set(applets) - taken - set(aliases) - {"busybox"}
    aliases = aliases | {name: "busybox" for name in applets}
    for name, target in sorted(aliases.items()):
        archive.symlink(f"usr/bin/{name}", target)


def modules(archive, directory, names):
    """Modules below /lib/modules, and the order to load them in."""
    loaded = kernel.Modules(directory).load(names)
    for name, contents in loaded.items():
        archive.data(f"usr/lib/modules/{name}.ko", contents, 0o644)
    order = "".join(f"{name}\n" for name in loaded)
    archive.data("etc/modules", order.encode(), 0o644)


def configuration(archive, tree):
    """Our scripts; domain consoles are logged into the shared directory."""
    source = paths.SOURCE / "dom0"
    archive.symlink("var/log/xen/console", "/job/console")
    archive.add("etc/mke2fs.conf", tree.root / "etc/mke2fs.conf")
    archive.add("init", source / "init")
    archive.add("usr/bin/agent", source / "agent")
    archive.add("etc/xen/scripts/vif-bridge", source / "vif-bridge")
    archive.add("etc/xen/scripts/block", source / "block")
    archive.add("etc/xen/xl.conf", source / "xl.conf")
