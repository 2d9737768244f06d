#!/usr/bin/env python3
"""Builds and tests the given presets and ends with one line, "N passed, N failed".

Counted is what has run: doctest cases, the cases of the checks that print such a line themselves, and one for each
other program (a model check, a fuzz target). A program that ends badly without naming a failed case is one failure,
and so is a build that fails. Cases that cannot run here, for which a program prints "SKIPPED name", are named before
that line and counted nowhere.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = str(os.cpu_count() or 1)
DOCTEST = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
COUNTED = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)
SKIPPED = re.compile(r"^SKIPPED:? (.+)$", re.MULTILINE)


def run(command, **more):
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, **more).returncode == 0


def count(case):
    """Passed and failed cases of one ctest entry, and the names of those that were skipped."""
    good = case.get("status") == "run"
    output = case.findtext("system-out") or ""
    skipped = SKIPPED.findall(output)
    if case.get("status") in ("notrun", "disabled"):
        return 0, 0 if skipped else 1, skipped
    found = [(int(m[2]), int(m[3])) for m in DOCTEST.finditer(output)]
    found += [(int(m[1]), int(m[2])) for m in COUNTED.finditer(output)]
    if not found:
        return int(good), int(not good), skipped
    passed, failed = sum(p for p, _ in found), sum(f for _, f in found)
    # A doctest case that says that it was skipped has ended well, but shown nothing.
    return passed - (len(skipped) if DOCTEST.search(output) else 0), failed if good or failed else 1, skipped


def share_cache():
    """Lets ccache recognise files of this tree wherever it lies, so that a clone need not compile them again."""
    os.environ.setdefault("CCACHE_BASEDIR", str(ROOT))
    os.environ.setdefault("CCACHE_NOHASHDIR", "1")
    os.environ.setdefault("CCACHE_MAXSIZE", "5G")


def test(preset):
    if not run(["cmake", "--preset", preset, "-Wno-dev", "-DRUNNEL_TESTS=ON", "-DRUNNEL_BENCH=OFF"], stdout=subprocess.DEVNULL):
        print(f"{preset}: cmake failed")
        return 0, 1
    started = time.monotonic()
    if not run(["cmake", "--build", "--preset", preset, "-j", JOBS]):
        print(f"{preset}: the build failed")
        return 0, 1
    built = time.monotonic()

    environment = dict(os.environ)
    environment.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1")
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    environment.setdefault("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1:suppressions="
                           + str(ROOT / "tests" / "tsan.supp"))
    report = ROOT / "build" / preset / "tests.xml"
    report.unlink(missing_ok=True)
    command = ["ctest", "--preset", preset, "-j", JOBS, "--timeout", "900", "--output-junit", str(report),
               "--test-output-size-passed", "10000000", "--test-output-size-failed", "10000000"]
    # ThreadSanitizer cannot place its shadow where address space randomisation is strong.
    if preset == "tsan" and shutil.which("setarch") and run(["setarch", "-R", "true"], stderr=subprocess.DEVNULL):
        command = ["setarch", "-R"] + command
    run(command, env=environment)
    if not report.exists():
        print(f"{preset}: ctest failed")
        return 0, 1

    passed = failed = 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        p, f, skipped = count(case)
        passed += p
        failed += f
        for name in skipped:
            print(f"{preset:8} {case.get('name'):24} skipped: {name}")
        note = "" if not f else "   <-- FAILED"
        print(f"{preset:8} {case.get('name'):24} {p:6} passed {f:4} failed {float(case.get('time')):7.1f} s{note}")
    print(f"{preset}: {passed} passed, {failed} failed "
          f"(build {built - started:.0f} s, tests {time.monotonic() - built:.0f} s)", flush=True)
    if passed == 0 and failed == 0:
        print(f"{preset}: no test has run")
        return 0, 1
    return passed, failed


def main():
    share_cache()
    results = [test(preset) for preset in sys.argv[1:] or ["release"]]
    passed, failed = (sum(column) for column in zip(*results))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
