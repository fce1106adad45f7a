# SPDX-License-Identifier: BSD-2-Clause
"""The command line, checked before anything is started."""
import argparse
import re
import sys
from pathlib import Path

import domain
from report import USAGE, misuse

EPILOG = """exit codes: 0 as asked; with a script, its status; 2 crashed;
3 xl create failed; 4 ended early or with another status; 5 expectation not
seen; 6 dom0 or Xen died; 64 usage; 70 the lab failed; 124 hung.
environment: ACCEL=tcg|kvm  LAB_CPU=FEATURE  LAB_MEMORY=MiB  LAB_SUITE=NAME
BUILD=DIR  CACHE=DIR  DEBIAN_MIRROR=URL.  docs/lab.md explains all of them."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"lab: {message}\n")


def existing(text):
    file = Path(text).absolute()
    if not file.is_file():
        raise argparse.ArgumentTypeError(f"no such file: {text}")
    return file


def pattern(text):
    try:
        return re.compile(text, re.MULTILINE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"bad regular expression: {error}")


def forward(text):
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is not HOSTPORT:GUESTPORT")
    return int(found.group(1)), int(found.group(2))


def wanted_back(text):
    name, equals, file = text.partition("=")
    if not equals or "/" in name:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=HOSTFILE")
    return name, Path(file).absolute()


def common(command):
    command.add_argument("image", type=existing, metavar="IMAGE")
    command.add_argument("--memory", type=int, default=64, metavar="MiB")
    command.add_argument("--vcpus", type=int, default=1, metavar="N")
    command.add_argument("--cmdline", default="", metavar="STR")
    command.add_argument("--expect", type=pattern, metavar="REGEX",
                         help="success: this appears on the console")
    command.add_argument("--timeout", type=float, default=60, metavar="S")


def parser():
    top = Parser(prog="lab", epilog=EPILOG,
                 description="real Xen and a Linux dom0, in QEMU",
                 formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run an image as a domain")
    common(run)
    repeat = {"action": "append", "default": []}
    run.add_argument("--config", metavar="XLCFG", **repeat,
                     help="a line added to the xl configuration")
    run.add_argument("--vif", nargs="?", const="", metavar="key=value,...",
                     **repeat)
    run.add_argument("--disk", metavar="FILE[,ro]", **repeat)
    run.add_argument("--ramdisk", type=existing, metavar="FILE")
    run.add_argument("--put", type=existing, metavar="FILE", **repeat)
    run.add_argument("--get", type=wanted_back, metavar="NAME=HOSTFILE",
                     **repeat)
    run.add_argument("--script", type=existing, metavar="FILE")
    run.add_argument("--cold", action="store_true",
                     help="boot dom0 instead of restoring it")
    run.add_argument("--forward", type=forward, metavar="HOSTPORT:GUESTPORT")
    run.add_argument("--interactive", action="store_true",
                     help="attach this terminal to the domain's console")
    common(commands.add_parser("as-dom0", help="boot an image as dom0 itself"))
    commands.add_parser("shell", help="a shell in dom0")
    build = commands.add_parser("build", help="build image and snapshot now")
    build.add_argument("--linux-domu", action="store_true",
                       help="and the Linux guest for comparisons")
    build.add_argument("--driver-domain", action="store_true",
                       help="and a Linux that serves devices in dom0's place")
    commands.add_parser("clean", help="remove what the lab has built")
    commands.add_parser("doctor", help="name missing tools")
    return top


def join_optional(arguments):
    """`--vif IMAGE` would eat the image: a bare --vif takes no word."""
    return ["--vif=" if word == "--vif" else word for word in arguments]


def parse(arguments):
    request = parser().parse_args(join_optional(arguments))
    if hasattr(request, "image"):
        check(request)
    if request.command == "run":
        complete(request)
    return request


def check(request):
    for name in ("memory", "vcpus", "timeout"):
        if getattr(request, name) <= 0:
            raise misuse(f"--{name} {getattr(request, name)}: "
                         "must be more than 0")
    if "\n" in request.cmdline:
        raise misuse("--cmdline: a newline cannot be part of it")


def complete(request):
    """Turn the words of `run` into a domain."""
    request.domain = domain.Domain(
        image=request.image, memory=request.memory, vcpus=request.vcpus,
        cmdline=request.cmdline, config=request.config,
        vifs=[domain.parse_vif(v, i) for i, v in enumerate(request.vif)],
        disks=[domain.parse_disk(text) for text in request.disk],
        ramdisk=request.ramdisk)
    if request.forward and not request.domain.address():
        raise misuse("--forward needs a vif with an address: add --vif")
    names = [file.name for file in request.put]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise misuse(f"--put: two files named {twice.pop()}; rename one")
