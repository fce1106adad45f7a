# SPDX-License-Identifier: BSD-2-Clause
import pytest

from images import Workshop


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)
