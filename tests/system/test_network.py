# SPDX-License-Identifier: BSD-2-Clause
"""Streams and datagrams against Linux's stack through netback, addresses and names from the network."""
import pytest

from conftest import FULL, IMAGES, cases, run_script


@pytest.fixture(scope="module")
def network(peer):
    return run_script("network.sh", "stream", "--vif", "--vif=ip=10.9.0.10/24 fd00:9::10",
                      "--vif=ip=10.10.0.10/24", put=[peer])


@pytest.fixture(scope="module")
def reconnect(peer):
    return run_script("reconnect.sh", "stream", "--vif", put=[peer])


@pytest.fixture(scope="module")
def queues(peer):
    return run_script("queues.sh", "stream", "--vif", "--vcpus", "2", put=[peer], memory=96)


@pytest.fixture(scope="module")
def services(peer):
    return run_script("services.sh", "netserver", "--vif=ip=10.8.0.10 fd00:8::10", put=[peer],
                      memory=8)


@pytest.fixture(scope="module")
def names():
    return run_script("names.sh", "talk", "--vif=ip=", put=[IMAGES / "talk"])


@pytest.fixture(scope="module")
def jumbo(peer):
    return run_script("jumbo.sh", "stream", "--vif=mtu=9000,ip=10.8.0.10/24 fd00:8::10", put=[peer])


@pytest.fixture(scope="module")
def multicast():
    return run_script("multicast.sh", "talk", "--vif=ip=10.8.0.10/24 fd00:8::10",
                      put=[IMAGES / "talk"])


@pytest.mark.parametrize("case", cases("network.sh"))
def test_network(network, case):
    network.demand(case)


@pytest.mark.parametrize("case", cases("reconnect.sh"))
def test_reconnect(reconnect, case):
    reconnect.demand(case)


@pytest.mark.parametrize("case", cases("queues.sh"))
def test_queues(queues, case):
    queues.demand(case)


@pytest.mark.parametrize("case", cases("services.sh"))
def test_services(services, case):
    services.demand(case)


@pytest.mark.parametrize("case", cases("names.sh"))
def test_names(names, case):
    names.demand(case)


@pytest.mark.parametrize("case", cases("jumbo.sh"))
def test_jumbo(jumbo, case):
    jumbo.demand(case)


@pytest.mark.parametrize("case", cases("multicast.sh"))
def test_multicast(multicast, case):
    multicast.demand(case)


@pytest.mark.skipif(not FULL, reason="two leases take three minutes: make test-long")
def test_renew():
    found = run_script("renew.sh", "talk", "--vif=ip=")
    found.demand("lease_is_renewed_and_the_address_stays")
