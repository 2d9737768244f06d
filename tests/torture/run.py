#!/usr/bin/env python3
"""Tries what must never happen as often as is asked before a release: all, or only the ids that are given (R1, R4).

usage: run.py [--share N] [ID...]    --share N: an N-th of each number, to see that all of it runs

Each program ends with a line "torture ID COUNT of GOAL differences D seed S seconds T"; the last lines here are all of
these again. The exit code is 0 only if there was no difference.
"""
import argparse
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TESTS = ROOT / "build" / "release" / "tests"

# What brings a Kafka broker for programs that need one.
KAFKA = [sys.executable, "-B", str(ROOT / "tests" / "servers" / "kafka.py"), "--"]

# Per id: program, its arguments, what it is told by the environment.
PROGRAMS = {
    "R1": [("torture_kills", ["10000"], {}), ("torture_kafka_kills", ["300"], {}),
           ("test_kafka", ["-tc=outage*"], {"RUNNEL_KAFKA_OUTAGE": "30"})],
    "R2": [("torture_steps", ["50"], {})],
    "R3": [("torture_checkpoint_power", ["100000"], {}), ("torture_log_power", ["100000"], {})],
    "R4": [("torture_log_tail", ["200000"], {})],
    "R5": [("torture_checkpoint_memory", ["10000"], {}), ("torture_job_memory", ["100000"], {}),
           ("torture_job_memory", ["100000", "4"], {})],
    "R6": [("torture_failing_calls", ["100"], {}), ("torture_checkpoint_calls", ["10000"], {}),
           ("torture_log_calls", ["10000"], {})],
    "R7": [("torture_schedules", ["1000000"], {})],
    "R11": [("torture_bounded_memory", ["10000000"], {})],
    "R12": [("torture_no_leak", ["1000000000", "10000"], {})],
    "R13": [("test_graph", ["-tc=random graphs*"], {"RUNNEL_PROGRAMS": "100000"})],
    "R14": [("torture_rescale", ["20"], {})],
    "R18": [("torture_surprises", ["100000"], {})],
    "R19": [("torture_colliding_keys", ["9"], {})],
}


def main():
    parser = argparse.ArgumentParser(description="Tries what must never happen a great many times.")
    parser.add_argument("--share", type=int, default=1, metavar="N", help="only an N-th of each number")
    parser.add_argument("ids", nargs="*", metavar="ID")
    options = parser.parse_args()
    ids = options.ids or list(PROGRAMS)

    def shared(number):
        # What is as small as this is no count, or quick enough.
        return str(max(min(int(number), 4), int(number) // options.share)) if number.isdigit() else number

    unknown = [i for i in ids if i not in PROGRAMS]
    if unknown:
        sys.exit(f"unknown: {' '.join(unknown)}. There are {' '.join(PROGRAMS)}")
    configure = ["cmake", "--preset", "release", "-Wno-dev", "-DRUNNEL_TESTS=ON"]
    targets = sorted({"runnel_" + program for i in ids for program, _, _ in PROGRAMS[i]})
    build = ["cmake", "--build", "--preset", "release", "-j", str(os.cpu_count() or 1), "--target", *targets]
    for command in (configure, build):
        if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode != 0:
            sys.exit("failed: " + " ".join(command))
    lines, failed = [], False
    for i in ids:
        for program, arguments, environment in PROGRAMS[i]:
            arguments = [shared(a) for a in arguments]
            environment = {name: shared(value) for name, value in environment.items()}
            print(f"# {i}: {program} {' '.join(arguments)}", flush=True)
            server = KAFKA if "kafka" in program else []
            done = subprocess.run([*server, str(TESTS / f"runnel_{program}"), *arguments], cwd=ROOT, text=True,
                                  env={**os.environ, **environment}, stdout=subprocess.PIPE)
            print(done.stdout, end="", flush=True)
            found = [line for line in done.stdout.splitlines() if line.startswith("torture ")]
            lines += found
            failed |= done.returncode != 0 or not found
    print("\n".join(lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
