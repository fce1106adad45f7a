# SPDX-License-Identifier: BSD-2-Clause
"""Several vCPUs, and their number changed by the toolstack while the domain is busy."""
import random

import pytest

from conftest import cases, make_erofs, run_script


@pytest.fixture(scope="module")
def vcpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "big").write_bytes(random.Random(4).randbytes(3 << 20))
    (root / "index.html").write_text("<title>vcpus</title>\n")
    disk = make_erofs(root, tmp_path_factory.mktemp("disk") / "root.img")
    return run_script("vcpus.sh", "httpd", "--vif", "--disk", f"{disk},ro", "--vcpus", "4",
                      put=[root / "big"], memory=64)


@pytest.mark.parametrize("case", cases("vcpus.sh"))
def test_vcpus(vcpus, case):
    vcpus.demand(case)
