#!/usr/bin/env python3
"""Builds a small program against runnel in the three ways a user has, and runs it.

Proves too that the private dependencies stay private: the program's dependencies name none of their headers, and
CMake is not allowed to find them.
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXPECTED = (HERE / "expected.txt").read_text()
PRIVATE = re.compile(r"/fmt/|concurrentqueue|simdjson|/boost/(asio|beast)/")
HIDDEN = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in ("fmt", "Boost", "simdjson")]


class Failure(Exception):
    pass


def run(*command, env=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise Failure(f"{shlex.join(map(str, command))}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def check_output(program):
    output = run(program)
    if output != EXPECTED:
        raise Failure(f"{program} printed {output!r}, expected {EXPECTED!r}")


def find_package(work, prefix, options):
    run("cmake", "-S", HERE, "-B", work, *options, *HIDDEN, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", work)
    check_output(work / "consumer")


def add_subdirectory(work, prefix, options):
    run("cmake", "-S", HERE, "-B", work, *options, f"-DRUNNEL_SOURCE={ROOT}", "-DBUILD_SHARED_LIBS=ON")
    run("cmake", "--build", work, "--target", "consumer", "-j", str(os.cpu_count() or 1))
    check_output(work / "consumer")


def pkg_config(work, prefix, options, compiler):
    work.mkdir()
    path = {"PKG_CONFIG_PATH": str(next(prefix.glob("**/pkgconfig")))}
    flags = shlex.split(run("pkg-config", "--cflags", "--libs", "runnel", env=path))
    run(compiler, "-std=c++20", HERE / "main.cpp", "-o", work / "consumer", *flags)
    check_output(work / "consumer")


def headers_stay_private(work, prefix, compiler):
    listed = run(compiler, "-std=c++20", "-M", "-I", prefix / "include", HERE / "main.cpp").split()
    leaked = [name for name in listed if PRIVATE.search(name)]
    if leaked:
        raise Failure("the program sees " + ", ".join(leaked[:5]))


def libraries_stay_private(work, prefix):
    needed = run("ldd", work / "consumer")
    leaked = [line.split()[0] for line in needed.splitlines() if re.search(r"libfmt|libsimdjson|libboost", line)]
    if leaked:
        raise Failure("the program needs " + ", ".join(leaked))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True, help="a finished build to install from")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder to use; it is emptied")
    parser.add_argument("--compiler", default="c++")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    prefix = work / "prefix"
    run("cmake", "--install", arguments.build, "--prefix", prefix)
    options = [f"-DCMAKE_CXX_COMPILER={arguments.compiler}", "-DCMAKE_BUILD_TYPE=Release", "-G", "Ninja"]
    if shutil.which("ccache"):
        options.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")

    cases = {
        "find_package": lambda: find_package(work / "find_package", prefix, options),
        "add_subdirectory, shared": lambda: add_subdirectory(work / "add_subdirectory", prefix, options),
        "pkg-config": lambda: pkg_config(work / "pkg_config", prefix, options, arguments.compiler),
        "private headers are not seen": lambda: headers_stay_private(work, prefix, arguments.compiler),
        "private libraries are not needed": lambda: libraries_stay_private(work / "find_package", prefix),
    }
    failed = 0
    for name, case in cases.items():
        try:
            case()
        except (Failure, OSError) as failure:
            failed += 1
            print(f"FAILED: {name}: {failure}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
