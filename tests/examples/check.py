#!/usr/bin/env python3
"""Runs the example programs and compares what they print with what they should."""
import argparse
import pathlib
import subprocess
import sys

LOG = """\
2026-11-21 11:33:05 startup archives unpack
2026-11-21 11:33:06 install libfoo:amd64 <none> 1.0
2026-11-21 11:33:06 status half-installed libfoo:amd64 1.0
2026-11-21 11:33:07 status unpacked libfoo:amd64 1.0
not a line of a log
2026-11-21 11:34:30 status half-configured libbar:amd64 2.0
2026-11-21 11:33:59 configure libfoo:amd64 1.0 <none>
2026-11-21 11:36:01 status installed libbar:amd64 2.0
"""

LOG_SUMMARY = """\
2026-11-21T11:33:00Z      4 entries     1 trouble   libfoo:amd64 4
2026-11-21T11:34:00Z      1 entries     1 trouble   libbar:amd64 1
2026-11-21T11:36:00Z      1 entries     0 trouble   libbar:amd64 1
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="where the example programs are")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder to use")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    (arguments.work / "sample.log").write_text(LOG)

    def run(*command):
        done = subprocess.run([str(arguments.programs / command[0]), *command[1:]], cwd=arguments.work,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    passed = failed = 0

    def check(what, right, shown):
        nonlocal passed, failed
        if right:
            passed += 1
        else:
            failed += 1
            print(f"FAILED: {what}:\n{shown}")

    result = run("log_errors", "sample.log")
    check("log_errors sums up a log by minutes", result == (0, LOG_SUMMARY, ""), result)
    result = run("log_errors", "missing.log")
    check("log_errors names a file that is missing",
          result[0] == 1 and "missing.log" in result[2] and "No such file or directory" in result[2], result)
    result = run("click_count", "3")
    check("click_count counts what its sender has sent",
          result[0] == 0 and result[1].splitlines()[-1].startswith("sent 15000 ")
          and result[1].endswith("all totals equal the sender's\n"), result)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
