# SPDX-License-Identifier: BSD-2-Clause
"""Names for addresses in a dump."""
from symbols import Symbols, symbol_file

LISTING = """\
0000000000200000 T _start
0000000000200040 t helper
0000000000200100 R table
0000000000201000 B _end
"""


def test_names_with_offsets():
    symbols = Symbols(LISTING)
    assert symbols.name(0x200000) == "_start+0x0"
    assert symbols.name(0x200044) == "helper+0x4"


def test_only_code_has_a_name():
    symbols = Symbols(LISTING)
    for address in (0x1fffff, 0x200100, 0x201000, 0xffffffffffffffff):
        assert symbols.name(address) == ""


def test_dump_is_explained_once_and_in_order():
    dump = ("rip: 0000000000200044\n 0000000000200004 0000000000000000\n"
            " 0000000000200044 e033 [<0000000000200044>]\n")
    assert Symbols(LISTING).explain(dump).splitlines() == [
        "0x0000000000200044 helper+0x4", "0x0000000000200004 _start+0x4"]


def test_no_symbols_no_names():
    assert Symbols("").explain("rip: 0000000000200044") == ""


def test_debug_file_beside_the_image_is_preferred(tmp_path):
    image = tmp_path / "hello"
    image.touch()
    assert symbol_file(image) == image
    (tmp_path / "hello.debug").touch()
    assert symbol_file(image) == tmp_path / "hello.debug"
