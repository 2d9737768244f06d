#!/usr/bin/env python3
"""What a user's file costs to compile: five operators from JSON lines to the terminal, at -O2.

Prints ratios of limit and measurement: seconds of processor time (8, goal 4), the compiler's largest memory (no limit
is set elsewhere; 1 GB is taken, goal half of it), and the stripped binary (1 MB, goal 400 KB), which is linked with
the static libraries of the build.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = """
#include <runnel/runnel.hpp>

#include <boost/describe.hpp>

using namespace std::chrono_literals;

struct click {
    std::string user, page;
    runnel::timestamp at;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page, at))

int main() {
    runnel::pipeline p{"clicks"};
    p.from(runnel::json_lines<click>("clicks.jsonl"))
        .event_time(&click::at, runnel::bounded_out_of_orderness(5s))
        .filter([](const click& c) { return c.page != "/health"; })
        .map([](click c) {
            if (c.user.empty()) c.user = "nobody";
            return c;
        })
        .key_by(&click::user)
        .window(runnel::tumbling(10s).drop_late())
        .aggregate(runnel::count())
        .to(runnel::print());
    std::move(p).start({.parallelism = 4}).wait();
}
"""


def run(command):
    """Resources that the command and its children have used."""
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return used


def ratio(name, limit, value, goal, note):
    print(f"ratio {name} {limit / value:.3f} floor 1 goal {goal:g}  # {note}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="a finished build")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, made, program = (os.path.join(folder, name) for name in ("user.cpp", "user.o", "user"))
        pathlib.Path(source).write_text(PROGRAM)
        compile_it = [arguments.compiler, "-std=c++20", "-O2", f"-I{ROOT / 'include'}", "-c", source, "-o", made]
        rounds = [run(compile_it) for _ in range(arguments.rounds)]
        libraries = [str(arguments.build / f"librunnel{part}.a") for part in ("_connect", "")]
        run([arguments.compiler, made, *libraries, "-lsimdjson", "-pthread", "-o", program])
        whole = os.path.getsize(program)
        subprocess.run(["strip", program], check=True)
        size = os.path.getsize(program) / 1e6

    seconds = statistics.median(used.ru_utime + used.ru_stime for used in rounds)
    memory = max(used.ru_maxrss for used in rounds) * 1024 / 1e6
    ratio("compile_time", 8, seconds, 2, f"{seconds:.2f} s of processor time at -O2; floor 8 s, goal 4 s")
    ratio("compile_memory", 1000, memory, 2, f"{memory:.0f} MB at most; floor 1,000 MB, goal 500 MB")
    ratio("binary_size", 1, size, 2.5,
          f"{size * 1000:.0f} KB, {whole / 1000:.0f} KB not stripped; floor 1 MB, goal 400 KB")


if __name__ == "__main__":
    main()
