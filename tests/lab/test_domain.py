# SPDX-License-Identifier: BSD-2-Clause
"""The xl configuration made from a request."""
from pathlib import Path

import pytest

from domain import Disk, Domain, parse_vif, quote, xl_config


def test_plain_domain():
    lines = xl_config(Domain(Path("kernel"))).splitlines()
    assert 'kernel="/job/image"' in lines
    assert "memory=64" in lines and "vcpus=1" in lines
    assert 'on_crash="preserve"' in lines
    assert not [line for line in lines if line.startswith(("vif", "disk"))]


def test_user_lines_come_last():
    domain = Domain(Path("kernel"), config=['memory=4', 'tsc_mode="native"'])
    assert xl_config(domain).splitlines()[-2:] == ["memory=4",
                                                   'tsc_mode="native"']


def test_devices():
    domain = Domain(Path("kernel"), vifs=[parse_vif("", 0)],
                    disks=[Disk(Path("/a")), Disk(Path("/b"), True)])
    config = xl_config(domain)
    assert 'vif=["mac=00:16:3e:00:00:01,bridge=xenbr0,ip=10.8.0.10"]' in config
    assert 'disk=["phy:/dev/lab0,xvda,w", "phy:/dev/lab1,xvdb,r"]' in config


@pytest.mark.parametrize("text, quoted", [
    ("plain", '"plain"'), ('say "hi"', "'say \"hi\"'"), ("it's", '"it\'s"'),
    ("back\\slash", '"back\\\\slash"')])
def test_strings_are_quoted(text, quoted):
    assert quote(text) == quoted


def test_address_is_the_first_vifs():
    domain = Domain(Path("k"), vifs=[parse_vif("ip=10.8.0.77/24", 0),
                                     parse_vif("", 1)])
    assert domain.address() == "10.8.0.77"
    assert Domain(Path("k")).address() == ""


def test_need_counts_what_the_domain_may_grow_to(tmp_path):
    ramdisk = tmp_path / "ramdisk"
    with open(ramdisk, "wb") as file:
        file.truncate(10 << 20)
    assert Domain(Path("k"), memory=32).need() == 32
    assert Domain(Path("k"), config=["maxmem = 8192"]).need() == 8192
    assert Domain(Path("k"), ramdisk=ramdisk).need() == 84
