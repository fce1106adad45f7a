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


STACKS = LISTING + """\
0000000000300000 b boot_stack_guard
0000000000305000 b event_stack_guard
0000000000309000 B bss_end
"""
FULL = "(XEN) domain_crash_sync called from entry.S: fault at ffff82d0\n(XEN) rsp: {}   rcx: 00"


def overflow(rsp, report=FULL):
    return Symbols(STACKS).stack_overflow(report.format(rsp))


def test_a_full_stack_is_named():
    assert "rsp 0x10000010ff0" in overflow("0000010000010ff0")
    assert overflow("0000010000010ff0").endswith("a thread's stack")
    assert overflow("0000000000300ff8").endswith("the boot stack")
    assert overflow("0000000000305008").endswith("the event stack")
    assert overflow("0000000000306010").endswith("the event stack")  # room for a word, not a frame
    assert overflow("e02b:0000010000010ff0") != ""


def test_the_full_stack_may_be_any_cpus():
    report = FULL.format("0000000000302000") + "\nvcpu1:\nrsp: 0000010000010ff0\n"
    assert "rsp 0x10000010ff0" in Symbols(STACKS).stack_overflow(report)


def test_other_ends_are_no_overflow():
    assert overflow("0000000000300800", "(XEN) rsp: {}") == ""
    assert overflow("0000000000302000") == ""
    assert Symbols("").stack_overflow("") == ""
