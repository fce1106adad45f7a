# SPDX-License-Identifier: BSD-2-Clause
"""What was asked for, and the xl configuration that asks Xen for it."""
import re
from dataclasses import dataclass, field
from pathlib import Path

from report import misuse

BRIDGE_PREFIX = "10.8.0."
FIRST_ADDRESS = 10
MAC_PREFIX = "00:16:3e:00:00:"


@dataclass
class Disk:
    file: Path
    readonly: bool = False


@dataclass
class Domain:
    image: Path
    memory: int = 64
    vcpus: int = 1
    cmdline: str = ""
    config: list = field(default_factory=list)
    vifs: list = field(default_factory=list)
    disks: list = field(default_factory=list)
    ramdisk: Path = None
    name: str = "guest"

    def address(self):
        """The address of the first vif, or nothing."""
        return self.vifs[0].get("ip", "").split("/")[0].split(" ")[0] \
            if self.vifs else ""

    def need(self):
        """MiB of the machine this domain may come to use."""
        asked = re.findall(r"^\s*(?:maxmem|memory)\s*=\s*(\d+)",
                           "\n".join(self.config), re.MULTILINE)
        ramdisk = self.ramdisk.stat().st_size >> 20 if self.ramdisk else 0
        return max([self.memory, *map(int, asked)]) + 2 * ramdisk


def parse_disk(text):
    """FILE or FILE,ro"""
    name, comma, mode = text.rpartition(",")
    if mode not in ("ro", "rw") or not comma:
        name, mode = text, "rw"
    file = Path(name).absolute()
    if not file.exists():
        raise misuse(f"--disk {name}: no such file; make one with "
                     f"truncate -s 64M {name}")
    return Disk(file, mode == "ro")


def parse_vif(text, index):
    """key=value,...; what is not said the lab assigns."""
    vif = {"mac": f"{MAC_PREFIX}{index + 1:02x}", "bridge": "xenbr0"}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise misuse(f"--vif: '{item}' is not key=value")
        vif[key] = value
    if vif["bridge"] == "xenbr0":
        vif.setdefault("ip", f"{BRIDGE_PREFIX}{FIRST_ADDRESS + index}")
    return vif


def quote(text):
    """A string of xl's configuration language, which has no newlines."""
    mark = "'" if '"' in text else '"'
    return mark + text.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark


def listing(items):
    return "[" + ", ".join(quote(item) for item in items) + "]"


def vif_line(vif):
    return ",".join(f"{key}={value}" for key, value in vif.items() if value)


def disk_line(index, disk):
    """Disk N of the lab is the device /dev/labN of dom0 and xvd[a+N]."""
    letter = chr(ord("a") + index)
    mode = "r" if disk.readonly else "w"
    return f"phy:/dev/lab{index},xvd{letter},{mode}"


def xl_config(domain):
    """The last setting of a name wins, so --config has the last word."""
    lines = [f"name={quote(domain.name)}", 'type="pv"',
             'kernel="/job/image"', f"memory={domain.memory}",
             f"vcpus={domain.vcpus}", 'on_poweroff="preserve"',
             'on_crash="preserve"', 'on_watchdog="preserve"']
    if domain.cmdline:
        lines.append(f"cmdline={quote(domain.cmdline)}")
    if domain.ramdisk:
        lines.append('ramdisk="/job/ramdisk"')
    if domain.vifs:
        lines.append("vif=" + listing(map(vif_line, domain.vifs)))
    if domain.disks:
        lines.append("disk=" + listing(
            disk_line(i, disk) for i, disk in enumerate(domain.disks)))
    return "\n".join(lines + domain.config) + "\n"
