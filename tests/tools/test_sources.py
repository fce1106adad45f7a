# SPDX-License-Identifier: BSD-2-Clause
"""What `make format` cannot mend in our C: a drawing that is too wide for it, which it would wrap."""
import pathlib

TOP = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("apps", "arch", "bench", "frontends", "kernel", "lib", "tests")
COLUMNS = 100


def test_no_line_is_too_long():
    files = [file for room in ROOMS for file in (TOP / room).rglob("*.[ch]")]
    assert len(files) > 300
    assert not [f"{file}:{i}" for file in files
                for i, line in enumerate(file.read_text().splitlines(), 1) if len(line) > COLUMNS]
