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


# What the smaller examples print. Where results of several keys or subtasks meet, their order is free: lines are compared
# sorted.
OUTPUTS = {
    "card_fraud": """\
1970-01-01T00:00:40Z card 4711: 900.00 right after a tiny payment
1970-01-01T00:01:15Z card 1234: 800.00 right after a tiny payment
""",
    "low_inventory": """\
1970-01-01T00:10:00Z only 7 bolts left
1970-01-01T01:15:00Z only 6 bolts left
1970-01-01T00:45:00Z only 8 nuts left
""",
    "device_telemetry": """\
00:01:19 pump in use from 00:00:00 to 00:01:20, 6 readings, at most 150 W
00:03:39 fan in use from 00:00:00 to 00:03:40, 20 readings, at most 20 W
00:05:49 pump in use from 00:05:00 to 00:05:50, 3 readings, at most 420 W
00:10:19 fan in use from 00:04:20 to 00:10:20, 34 readings, at most 20 W
00:02:50 silent: pump
00:07:20 silent: pump
00:11:50 silent: fan
""",
    "chat_reactions": """\
00:00:00 lobby: thumbs up x 30
00:00:00 lobby: heart x 10
00:00:01 lobby: thumbs up x 30
00:00:01 lobby: heart x 10
""",
    "rescale": """\
0 [1970-01-01T00:00:00Z, 1970-01-01T00:30:00Z) 300
1 [1970-01-01T00:00:00Z, 1970-01-01T00:30:00Z) 300
2 [1970-01-01T00:00:00Z, 1970-01-01T00:30:00Z) 300
3 [1970-01-01T00:00:00Z, 1970-01-01T00:30:00Z) 300
4 [1970-01-01T00:00:00Z, 1970-01-01T00:30:00Z) 300
5 [1970-01-01T00:00:00Z, 1970-01-01T00:30:00Z) 300
0 [1970-01-01T00:30:00Z, 1970-01-01T01:00:00Z) 300
1 [1970-01-01T00:30:00Z, 1970-01-01T01:00:00Z) 300
2 [1970-01-01T00:30:00Z, 1970-01-01T01:00:00Z) 300
3 [1970-01-01T00:30:00Z, 1970-01-01T01:00:00Z) 300
4 [1970-01-01T00:30:00Z, 1970-01-01T01:00:00Z) 300
5 [1970-01-01T00:30:00Z, 1970-01-01T01:00:00Z) 300
""",
    "durable_inlet": """\
bolts [1970-01-01T00:00:00Z, 1970-01-01T01:00:00Z) 20
nuts [1970-01-01T00:00:00Z, 1970-01-01T01:00:00Z) 125
bolts [1970-01-01T01:00:00Z, 1970-01-01T02:00:00Z) 20
nuts [1970-01-01T01:00:00Z, 1970-01-01T02:00:00Z) 25
""",
    "parcel_tracking": """\
P1: handed in at Lyon
P2: handed in at Oslo
P1: Lyon -> Metz in 7 h
P1: Metz -> Hof in 5 h
P2: Oslo -> Kiel in 13 h
P2: Kiel -> Hof in 12 h
P1: Hof -> Riga in 18 h
P2: Hof -> Graz in 15 h
P2: the scan at Lund came too late
""",
    "top_pages": """\
00:00 /     2
00:00 /buy  1
00:00 /     3
00:01 /     1
00:01 /buy  2
00:01 /buy  3
00:03 /help 1
too late: / at 00:00:10
""",
    "demand_spikes": """\
00:00 lamp 12
00:01 kite 60
00:01 lamp 12
00:02 lamp 12
offer for kite: 45 views in the minute from 00:01
""",
    "changed_program": """\
ann has stamps: 1
bob has stamps: 1
ann has stamps: 2, spent 150
bob has stamps: 2, spent 300
ann spent 150 in an hour
bob spent 300 in an hour
""",
    "two_jobs": """\
the second job failed: operator 'careful', subtask 0, record time 1970-01-01T00:00:00Z: a thousand is too much
the first job added up 166666833333
""",
    "sqlite_counts": """\
a part of the counts is there
ann: 40000 requests in 60 seconds, 60 different ones
bob: 80000 requests in 60 seconds, 60 different ones
""",
    "rocksdb_visitors": """\
6000 visitors came back, and had seen 12000 pages
""",
    "asio_host": """\
largest sum 500040000; the host's timer ticked; all on one thread
""",
}


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
    result = run("click_recovery", "2")
    check("click_recovery counts each click once, however often it is killed",
          result[0] == 0 and result[1].endswith(": all totals equal the sender's\n"), result)

    result = run("click_count", "3")
    check("click_count counts what its sender has sent",
          result[0] == 0 and result[1].splitlines()[-1].startswith("sent 15000 ")
          and result[1].endswith("all totals equal the sender's\n"), result)
    check("click_count tells where it can be seen", result[1].startswith("see http://127.0.0.1:"), result)
    for name, output in OUTPUTS.items():
        if name.startswith(("sqlite_", "rocksdb_")) and not (arguments.programs / name).exists():
            continue  # The library is not there.
        code, shown, errors = run(name)
        check(f"{name} prints what it should",
              (code, sorted(shown.splitlines()), errors) == (0, sorted(output.splitlines()), ""), (code, shown, errors))
        code, shown, errors = run(name, "--describe")
        lines = [line for line in shown.splitlines() if line]
        check(f"{name} describes its graph: a source first, every operator with its inputs",
              code == 0 and len(lines) >= 3 and lines[0].startswith("pipeline '") and " source (" in lines[1]
              and all(" <- " in line or " source (" in line or line.startswith("pipeline '") for line in lines),
              (code, shown, errors))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
