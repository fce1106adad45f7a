# SPDX-License-Identifier: BSD-2-Clause
"""Distribution packages without root and without touching the system's apt.

A private apt state is made from the machine's own mirrors and keyring.  apt
verifies the signed index; the versions taken are what that index offers.
Only the wanted packages, what they name with a version in the name, and
libraries are taken: dom0 has no package manager, no perl, no python.
"""
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import paths
from report import broken, say, step

# Names that carry a version (xen-utils-4.17) come from the metapackages.
DOM0 = """xen-system-amd64 linux-image-amd64 xen-utils-common xenstore-utils
    busybox-static dash bash util-linux iproute2 bridge-utils iputils-ping
    iputils-arping tcpdump curl iperf3 wrk fio e2fsprogs erofs-utils
    mount libgcc-s1 grub-xen-host netcat-openbsd socat ethtool dmsetup
    dnsmasq-base""".split()
LINUX_DOMU = ["nginx"]
FOLLOWED = re.compile(
    r"(lib|zlib1g|xen-(hypervisor|utils)-\d|linux-image-\d)")
KEYRINGS = [Path("/usr/share/keyrings/debian-archive-keyring" + end)
            for end in (".gpg", ".pgp")]


def stanzas(text):
    """RFC 822 paragraphs as dictionaries; continuation lines are dropped."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        pairs = (line.split(":", 1) for line in paragraph.splitlines()
                 if ":" in line and not line.startswith((" ", "\t")))
        yield {key: value.strip() for key, value in pairs}


def dependencies(stanza, known):
    """The packages a stanza needs that we follow: first known alternative."""
    for field in ("Pre-Depends", "Depends"):
        for clause in filter(None, stanza.get(field, "").split(",")):
            names = [re.split(r"[\s:(]", alternative.strip())[0]
                     for alternative in clause.split("|")]
            followed = [name for name in names if FOLLOWED.match(name)]
            usable = [name for name in followed if name in known]
            yield from (usable or followed)[:1]


class Apt:
    """apt with its own lists, cache and sources below one directory."""

    def __init__(self):
        self.dir = paths.package_dir()
        self.cache = paths.package_cache() or self.dir
        self.debs = self.dir / "debs"
        self.lists = self.dir / "lists"
        self.options = []

    def prepare(self):
        for part in (self.debs, self.lists / "partial", self.dir / "empty"):
            part.mkdir(parents=True, exist_ok=True)
        (self.dir / "status").touch()
        (self.dir / "sources.list").write_text(sources())
        settings = {
            "Dir::State::lists": self.lists,
            "Dir::State::status": self.dir / "status",
            "Dir::Cache": self.dir / "empty",
            "Dir::Cache::archives": self.debs,
            "Dir::Etc::sourcelist": self.dir / "sources.list",
            "Dir::Etc::sourceparts": self.dir / "empty",
            "Dir::Etc::preferencesparts": self.dir / "empty",
            "APT::Architecture": "amd64",
            "APT::Architectures::": "amd64",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        for key, value in settings.items():
            self.options += ["-o", f"{key}={value}"]

    def run(self, tool, *arguments, **options):
        return subprocess.run([tool, *self.options, *arguments], text=True,
                              capture_output=True, **options)

    def update(self):
        """Fetch the index; an older verified one does when there is no net."""
        if self.cache != self.dir and (self.cache / "lists").exists():
            shutil.copytree(self.cache / "lists", self.lists,
                            dirs_exist_ok=True)
            return
        done = self.run("apt-get", "update", "-q")
        have = list(self.lists.glob("*Packages*"))
        if done.returncode and not have:
            raise broken(f"apt-get update failed: {done.stderr.strip()}")
        if done.returncode or "W:" in done.stderr:
            say("package index not refreshed, using the one at hand")

    def describe(self, names):
        shown = self.run("apt-cache", "show", "--no-all-versions", *names)
        return {s["Package"]: s for s in stanzas(shown.stdout)
                if "Package" in s}

    def closure(self, wanted):
        """Stanzas of the wanted packages and of what they need of ours."""
        known, asked, ask = {}, set(), set(wanted)
        while ask:
            asked |= ask
            found = self.describe(sorted(ask))
            known.update(found)
            ask = {name for stanza in found.values()
                   for name in dependencies(stanza, known)} - asked
        missing = set(wanted) - set(known)
        if missing:
            raise broken("the package index has no " + ", ".join(missing))
        return known

    def obtain(self, stanza):
        """The verified package file of a stanza, or None."""
        base = Path(stanza["Filename"]).name.partition("_")[0]
        for deb in [*(self.cache / "debs").glob(base + "_*.deb"),
                    *self.debs.glob(base + "_*.deb")]:
            if sha256(deb) == stanza["SHA256"]:
                return deb
        return None

    def download(self, known):
        missing = [name for name, stanza in known.items()
                   if not self.obtain(stanza)]
        if missing:
            done = self.run("apt-get", "download", "-q", *sorted(missing),
                            cwd=self.debs)
            if done.returncode:
                raise broken(f"apt-get download: {done.stderr.strip()}")
        files = {name: self.obtain(stanza) for name, stanza in known.items()}
        absent = [name for name, deb in files.items() if not deb]
        if absent:
            raise broken("no verified package file for " + ", ".join(absent))
        return files


def headers(release):
    """The packages that modules for this kernel are built with."""
    apt = Apt()
    apt.prepare()
    apt.update()
    name = f"linux-headers-{release}"
    found = apt.describe([name]).get(name)
    if not found:
        raise broken(f"the mirror has no {name} any more; `lab/lab clean` "
                     "makes a new dom0 of what it has")
    needed = re.findall(r"linux-(?:headers|kbuild)-[^ ,]+", found["Depends"])
    return [name, *needed]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sources():
    """A sources list of the machine's own Debian mirrors, for our suite."""
    own, wanted = paths.host_suite(), paths.suite()
    shown = subprocess.run(["apt-get", "indextargets", "Created-By: Packages"],
                           text=True, capture_output=True).stdout
    rings = [f" signed-by={ring}" for ring in KEYRINGS if ring.exists()]
    ring = rings[0] if rings else ""
    mirror = os.environ.get("DEBIAN_MIRROR")
    lines = {f"deb [arch=amd64{ring}] {mirror} {wanted} main\n"} \
        if mirror else set()
    for target in stanzas(shown):
        release = target.get("Codename") or target.get("Release", "")
        if release.split("-")[0] == own and target.get("Component") == "main":
            lines.add(f"deb [arch=amd64{ring}] {target['Repo-URI']} "
                      f"{release.replace(own, wanted, 1)} main\n")
    if not lines:
        raise broken(f"apt knows no mirror of Debian '{own}'; "
                     "name one in DEBIAN_MIRROR")
    return "".join(sorted(lines))


def install(wanted, root):
    """Unpack the wanted packages and what they need into a directory."""
    apt = Apt()
    apt.prepare()
    with step(f"package index ({paths.suite()})"):
        apt.update()
    with step("packages: resolve and download"):
        known = apt.closure(wanted)
        files = apt.download(known)
    for name, stanza in sorted(known.items()):
        say(f"  {name} {stanza['Version']}")
    with step(f"packages: unpack {len(files)}"):
        paths.fresh(root)
        for deb in files.values():
            subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    return {name: stanza["Version"] for name, stanza in known.items()}
