# SPDX-License-Identifier: BSD-2-Clause
"""What the lab promises about its exit codes, its files, and runs side by side."""
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

from conftest import BUILD, PATIENCE, TOP, lab_command, run_lab
from terminal import Terminal


def script(tmp_path, text):
    file = tmp_path / "script"
    file.write_text(text)
    return "--script", file


def test_0_when_the_status_is_0():
    result = run_lab("hello")
    assert result.code == 0 and "Hello from Paravane." in result.out, result
    assert result.out.rstrip().endswith("exit status 0"), result


def test_0_when_the_expected_text_appears():
    result = run_lab("netserver", "--expect", "^serving$")
    assert result.code == 0, result


def test_status_of_the_script(tmp_path):
    result = run_lab("netserver", "--vif", *script(tmp_path, "xl domid $DOM && exit 42\n"))
    assert result.code == 42, result


def test_script_gets_and_gives_files(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.write_bytes(b"\0words\n")
    result = run_lab("hello", *script(tmp_path, "cat here here >both\n"), "--put", here,
                     "--get", f"both={there}")
    assert result.code == 0 and there.read_bytes() == 2 * b"\0words\n", result


def test_2_when_it_crashes_while_a_script_runs(tmp_path):
    result = run_lab("fault", *script(tmp_path, "sleep 100000\n"), cmdline="null")
    assert result.code == 2, result


def test_3_when_xl_create_fails():
    result = run_lab("hello", "--config", "vcpus=0", "--config", "disk=['nonsense']")
    assert result.code == 3, result
    for title in ("xl create", "xl list", "xl dmesg"):
        assert f"---- {title} ----" in result.err, result


def test_4_when_it_ends_with_another_status():
    result = run_lab("hello", cmdline="7")
    assert result.code == 4 and "exit status 7" in result.err, result


def test_4_when_it_ends_before_the_expectation():
    result = run_lab("hello", "--expect", "never said")
    assert result.code == 4, result


def test_5_when_the_expectation_is_not_seen():
    result = run_lab("netserver", "--expect", "never said", "--timeout", 3)
    assert result.code == 5 and "never said" in result.err, result


def test_6_when_dom0_dies(tmp_path):
    result = run_lab("netserver", *script(tmp_path, "echo c >/proc/sysrq-trigger; sleep 100000\n"))
    assert result.code == 6 and "Kernel panic" in result.err, result


def test_130_when_it_is_interrupted():
    with Terminal(lab_command("netserver"), PATIENCE) as terminal:
        terminal.await_words("serving")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.status() == 130, terminal.seen
        assert "interrupted" in terminal.seen


def test_runs_start_from_the_snapshot_and_leave_it_as_it_is():
    for _ in range(2):
        done = subprocess.run([TOP / "lab/lab", "build"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "lab: built\n", done.stderr
    before = {file: file.stat().st_mtime_ns for file in BUILD.glob("lab/*/snap/*/*")}
    result = run_lab("hello")
    assert result.code == 0 and result.err == "lab: exit status 0\n", result
    assert before and all(file.stat().st_mtime_ns == time for file, time in before.items())


def test_124_when_the_domain_does_not_end():
    result = run_lab("netserver", "--timeout", 3)
    assert result.code == 124, result


def test_64_for_wrong_words(tmp_path):
    for words in (["--memory", "0"], ["--disk", tmp_path / "none"], ["--vif=nonsense"],
                  ["--unknown"], ["--forward", "80"]):
        assert run_lab("hello", *words).code == 64


def test_as_dom0():
    result = run_lab("hello", command="as-dom0", cmdline='a "b c" 0')
    assert result.code == 0 and "argv[2] = b c" in result.out, result
    assert run_lab("fault", command="as-dom0", cmdline="null").code == 2


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path):
    text = 'sleep 2; nc "$IP" 13 </dev/null | grep used; xl list | grep -c guest\n'
    words = script(tmp_path, text)
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda n: run_lab("netserver", "--vif", *words), range(2)):
            assert result.code == 0, result
            assert result.out.rstrip().endswith("\n1"), result
