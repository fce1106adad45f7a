# SPDX-License-Identifier: BSD-2-Clause
"""A report as it is made of two consoles' logs, and what a browser makes of it at two widths.

The logs were recorded in the lab (make bench ONCE=1 ONLY=latency, some probes of each kind); the browser has no
network and no script but ours, which is added to a copy of the page and writes down what was laid out.
"""
import json
import pathlib
import re
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium"))), None)
LOOK = (HERE / "look.js").read_text()
WIDTHS = {"phone": 360, "desk": 1200}


@pytest.fixture(scope="session", name="directory")
def report_directory(tmp_path_factory):
    """With pvbench.html and pvbench.log.json in it."""
    directory = tmp_path_factory.mktemp("report")
    for name in ("pvbench.log", "linux.log"):
        shutil.copy(HERE / name, directory)
    subprocess.run([TOP / "bench/report", directory / "pvbench.log", directory / "linux.log"], check=True)
    return directory


def look_at(directory, page, width):
    """What look.js saw in (page)."""
    if not BROWSER:
        pytest.skip("no browser: tools/setup look")
    copy = directory / f"looked-at-{width}.html"
    copy.write_text(page.replace("</body>", f"<script>{LOOK}</script></body>"))
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},900",
         "--proxy-server=127.0.0.1:9", f"--user-data-dir={directory}/profile-{width}", "--dump-dom", copy.as_uri()],
        capture_output=True, text=True, timeout=300)
    found = re.search(r"<script type=\"application/json\" id=\"seen\">(.*?)</script>", done.stdout, re.DOTALL)
    assert found, f"status {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(found[1])


@pytest.fixture(scope="session", name="seen", params=WIDTHS)
def what_a_browser_sees(request, directory):
    return look_at(directory, (directory / "pvbench.html").read_text(), WIDTHS[request.param])
