# SPDX-License-Identifier: BSD-2-Clause
"""Streams and datagrams against Linux's stack through netback."""
import pytest

from conftest import cases, run_script


@pytest.fixture(scope="module")
def network(peer):
    return run_script("network.sh", "stream", "--vif", "--vif=ip=10.9.0.10/24 fd00:9::10",
                      "--vif=ip=10.10.0.10/24", put=[peer])


@pytest.fixture(scope="module")
def services(peer):
    return run_script("services.sh", "netserver", "--vif", put=[peer], memory=8)


@pytest.mark.parametrize("case", cases("network.sh"))
def test_network(network, case):
    network.demand(case)


@pytest.mark.parametrize("case", cases("services.sh"))
def test_services(services, case):
    services.demand(case)
