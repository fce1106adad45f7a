# SPDX-License-Identifier: BSD-2-Clause
"""The command line: what it accepts, what it refuses, with which words."""
import pytest

import options
import report


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "kernel"
    file.write_bytes(b"ELF")
    return str(file)


def test_defaults_are_a_small_domain(image):
    request = options.parse(["run", image])
    assert (request.domain.memory, request.domain.vcpus) == (64, 1)
    assert request.timeout == 60


def test_bare_vif_does_not_swallow_the_image(image):
    request = options.parse(["run", "--vif", image])
    assert request.domain.vifs[0]["ip"] == "10.8.0.10"


def test_vif_options_override_what_the_lab_assigns(image):
    request = options.parse(
        ["run", image, "--vif", "--vif=mac=00:16:3e:aa:bb:cc,mtu=1400"])
    first, second = request.domain.vifs
    assert first["mac"] == "00:16:3e:00:00:01"
    assert second == {"mac": "00:16:3e:aa:bb:cc", "bridge": "xenbr0",
                      "mtu": "1400", "ip": "10.8.0.11"}


def test_vif_on_another_bridge_gets_no_address(image):
    request = options.parse(["run", image, "--vif=bridge=other"])
    assert "ip" not in request.domain.vifs[0]


def test_disks_keep_their_mode(image, tmp_path):
    disk = tmp_path / "a,b.img"
    disk.touch()
    request = options.parse(["run", image, "--disk", f"{disk},ro",
                             "--disk", str(disk)])
    assert [d.readonly for d in request.domain.disks] == [True, False]
    assert request.domain.disks[0].file == disk


@pytest.mark.parametrize("words", [
    [], ["run"], ["run", "/no/such/image"], ["fly"],
    ["run", "IMAGE", "--expect", "("], ["run", "IMAGE", "--memory", "much"],
    ["run", "IMAGE", "--get", "name"], ["run", "IMAGE", "--forward", "80"],
    ["run", "IMAGE", "--script", "/no/such/script"]])
def test_misuse_exits_64(words, image, capsys):
    words = [image if word == "IMAGE" else word for word in words]
    with pytest.raises(SystemExit) as stop:
        options.parse(words)
    assert stop.value.code == report.USAGE


@pytest.mark.parametrize("words", [
    ["--disk", "/no/such/disk"], ["--vif=novalue"], ["--forward", "8080:80"],
    ["--cmdline", "two\nlines"], ["--memory", "0"], ["--vcpus", "0"],
    ["--put", "SAME", "--put", "SAME"]])
def test_misuse_is_explained(words, image):
    words = [image if word == "SAME" else word for word in words]
    with pytest.raises(report.Failure) as failure:
        options.parse(["run", image, *words])
    assert failure.value.code == report.USAGE
    assert words[0].split("=")[0] in failure.value.cause
