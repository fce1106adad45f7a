# SPDX-License-Identifier: BSD-2-Clause
"""Life and death, sizes, and wrong configurations: many domains beside one boot of dom0."""
import subprocess

import pytest

from conftest import BUILD, IMAGES, TOP, cases, run_lab, run_script


def bystander(script, images, *files):
    """Run (script) beside a domain that says hello; it creates its own from (images)."""
    return run_script(script, "hello", put=[*(IMAGES / name for name in images), *files])


def bundle(name):
    subprocess.run([TOP / "tools/bundle", name, BUILD], check=True)
    return BUILD / f"{name}.tar.gz"


@pytest.fixture(scope="module")
def life():
    return bystander("life.sh", ("hello", "netserver", "fault", "endings"))


@pytest.fixture(scope="module")
def memory():
    return bystander("memory.sh", ("hello", "netserver", "block"))


@pytest.fixture(scope="module")
def config():
    return bystander("config.sh", ("hello", "httpd", "netserver"), bundle("hello"),
                     bundle("httpd"))


@pytest.mark.parametrize("case", cases("life.sh"))
def test_life(life, case):
    life.demand(case)


@pytest.mark.parametrize("case", cases("memory.sh"))
def test_memory(memory, case):
    memory.demand(case)


@pytest.mark.parametrize("case", cases("config.sh"))
def test_config(config, case):
    config.demand(case)


def test_8_gib():
    """A machine of its own size, hence a boot of dom0 of its own."""
    with open("/proc/meminfo") as meminfo:
        facts = dict(line.split(":") for line in meminfo)
    available = int(facts["MemAvailable"].split()[0]) >> 10
    if available < 14000:
        pytest.skip(f"needs 14 GiB of memory, {available} MiB are available")
    result = run_lab("hello", "--cold", memory=8192)
    assert result.code == 0, result
    assert "hello: 8192 MiB" in result.out, result
