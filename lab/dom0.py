# SPDX-License-Identifier: BSD-2-Clause
"""A dom0, booted or taken from a snapshot.

The devices are the same either way, as a snapshot demands; only what stands
behind them differs: the shared directory, the forwarded port.  A snapshot is
the memory in a file, which later runs map copy-on-write, and a few hundred
kilobytes of device state.  It is keyed by all that must be equal.
"""
import hashlib
import os
import shlex
import time
from dataclasses import dataclass

import doctor
import paths
import qemu
from report import DOM0_DIED, Failure, broken, show, step

READY = b"LAB-READY"
BOOT_LIMIT = 600
LAST_LINES = 80
LINUX_OPTIONS = ("console=hvc0 quiet loglevel=4 mitigations=off apparmor=0 "
                 "audit=0 cryptomgr.notests")
FATAL = (b"Panic on CPU", b"Hardware Dom0 crashed",
         b"Kernel panic - not syncing")
STANDARD_MEMORY, STANDARD_DOM0, LARGE_DOM0 = 2048, 768, 2048
NETWORK = "net=10.8.0.0/24,host=10.8.0.2,dns=10.8.0.3,dhcpstart=10.8.0.200"


@dataclass(frozen=True)
class Shape:
    """What one snapshot serves: an accelerator and sizes in MiB."""
    accelerator: str
    memory: int
    dom0: int

    def capacity(self):
        """Memory left for guests: Xen keeps some, and a part per page."""
        return self.memory - self.dom0 - 160 - self.memory // 64


def shape_for(accelerator, need):
    """The standard size, or the next larger multiple of 2 GiB that will do."""
    forced = int(os.environ.get("LAB_MEMORY") or 0)
    shape = Shape(accelerator, STANDARD_MEMORY, STANDARD_DOM0)
    while shape.capacity() < need or shape.memory < forced:
        shape = Shape(accelerator, shape.memory + 2048, LARGE_DOM0)
    return shape


def devices(shared, forward):
    """The devices of every dom0, with this directory and forwarding behind."""
    lan = f"user,id=lan,restrict=on,ipv6=off,{NETWORK}"
    if forward:
        host_port, address, guest_port = forward
        lan += f",hostfwd=tcp:127.0.0.1:{host_port}-{address}:{guest_port}"
    return ["-device", "virtio-serial-pci", "-device",
            "virtserialport,chardev=term,name=term",
            "-fsdev", f"local,id=job,security_model=none,path={escape(shared)}",
            "-device", "virtio-9p-pci,fsdev=job,mount_tag=job",
            "-device", "virtio-scsi-pci,id=scsi",
            "-netdev", lan, "-device", "virtio-net-pci,netdev=lan,romfile="]


def escape(path):
    return str(path).replace(",", ",,")


def ram(shape, file, share):
    return ["-object", f"memory-backend-file,id=ram,size={shape.memory}M,"
            f"mem-path={escape(file)},share={share}",
            "-machine", "pc,memory-backend=ram"]


class Dom0(qemu.Qemu):
    """A QEMU with a Linux dom0 in it, and what its serial line said."""

    def __init__(self, shape, directory, arguments, forward=None):
        self.output = b""
        self.transcript = open(directory / "serial.log", "wb")
        shared = directory / "job"
        shared.mkdir(exist_ok=True)
        super().__init__(
            qemu.machine(shape.accelerator, shape.memory)
            + devices(shared, forward) + arguments,
            directory / "qemu.log", ("serial", "qmp", "term"))
        self.connect()

    def listen(self, wait):
        """Take in the serial line; a dead dom0 or Xen ends the run."""
        data = self.read_serial(wait)
        self.output += data
        self.transcript.write(data)
        self.transcript.flush()
        if any(word in self.output for word in FATAL):
            self.last_words()
            raise Failure(DOM0_DIED, "dom0 or Xen died, see above")
        if not self.alive():
            raise Failure(DOM0_DIED, "dom0 ended: " + self.complaint())

    def last_words(self):
        """What a dying dom0 or Xen still says."""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            self.output += self.read_serial(0.1)
        lines = self.output.decode(errors="replace").splitlines()
        causes = [i for i, line in enumerate(lines) if any(w.decode() in line for w in FATAL)]
        first = min([len(lines) - LAST_LINES] + causes[:1])  # the cause is always among them
        show("dom0 and Xen, last lines", "\n".join(lines[max(first, 0):]))

    def await_ready(self, limit=BOOT_LIMIT):
        deadline = time.monotonic() + limit
        while READY not in self.output:
            if time.monotonic() > deadline:
                self.last_words()
                raise broken(f"dom0 was not ready in {limit} s")
            self.listen(0.2)

    def tell(self, word):
        self.serial.sendall(word.encode() + b"\n")

    def share_memory(self):
        self.command("migrate-set-capabilities", capabilities=[
            {"capability": "x-ignore-shared", "state": True},
            {"capability": "events", "state": True}])


def xen_options(shape):
    return (f"dom0_mem={shape.dom0}M,max:{shape.dom0}M console=com1 "
            "com1=115200,8n1 loglvl=all guest_loglvl=all bootscrub=0 "
            "conring_size=256k")


def boot_arguments(shape, image):
    return qemu.boot(image.xen, xen_options(shape),
                     [(image.linux, LINUX_OPTIONS), (image.initramfs, "")])


def boot(shape, image, directory, forward=None, ram_arguments=()):
    """A dom0 started from nothing, ready for work."""
    dom0 = Dom0(shape, directory,
                boot_arguments(shape, image) + list(ram_arguments), forward)
    try:
        dom0.await_ready()
    except BaseException:
        dom0.kill()
        raise
    return dom0


class Snapshot:
    def __init__(self, shape, image):
        parts = [image.key, str(shape), qemu.version(),
                 qemu.cpu_model(shape.accelerator), xen_options(shape),
                 LINUX_OPTIONS,
                 str(devices("", None))]
        name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        self.shape = shape
        self.image = image
        self.dir = paths.suite_dir() / "snap" / name
        self.ram = self.dir / "ram"
        self.state = self.dir / "state"

    def exists(self):
        return self.state.exists()

    def take(self, directory, making):
        """Boot a dom0 and keep it."""
        with step(f"boot dom0 ({self.shape.memory} MiB, "
                  f"{self.shape.accelerator})"):
            dom0 = boot(self.shape, self.image, directory, None,
                        ram(self.shape, making / "ram", "on"))
        with step("snapshot"):
            save(dom0, making / "state")

    def restore(self, directory, forward):
        """The kernels are in the memory already: nothing is loaded again."""
        arguments = ram(self.shape, self.ram, "off") + ["-incoming", "defer"]
        dom0 = Dom0(self.shape, directory, arguments, forward)
        try:
            dom0.share_memory()
            dom0.command("migrate-incoming",
                         uri="exec:cat " + shlex.quote(str(self.state)))
            dom0.await_event("RESUME")
        except BaseException:
            dom0.kill()
            raise
        return dom0


def save(dom0, file):
    """Write the device state; the memory already is in its file."""
    try:
        dom0.share_memory()
        dom0.command("migrate", uri="exec:cat > " + shlex.quote(str(file)))
        status = "setup"
        while status not in ("completed", "failed", "cancelled"):
            status = dom0.command("query-migrate").get("status")
            time.sleep(0.01)
        if status != "completed":
            raise broken(f"saving dom0's state: migration {status}")
    finally:
        dom0.quit()


def ensure_snapshot(shape, image, directory):
    """The snapshot of this shape, taken first if there is none."""
    snapshot = Snapshot(shape, image)
    if not snapshot.exists():
        paths.fresh(directory)
        with paths.making(snapshot.dir, keep=6) as draft:
            if draft:
                doctor.require_space(shape.dom0)
                snapshot.take(directory, draft)
    os.utime(snapshot.dir)
    return snapshot
