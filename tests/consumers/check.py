#!/usr/bin/env python3
"""Builds small programs against runnel in the three ways a user has, and runs them.

Proves too that the private dependencies stay private: the programs see none of their headers, need none of their
libraries that could be left out, and CMake is not allowed to find what the core does not ask for.
"""
import argparse
import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PRIVATE_HEADERS = re.compile(r"/fmt/|concurrentqueue|simdjson|sqlite3|/rocksdb/|librdkafka|/boost/(asio|beast)/")
HIDDEN = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in ("fmt", "Boost", "simdjson", "SQLite3", "PkgConfig")]
HIDDEN.append("-DRUNNEL_ROCKSDB_LIBRARY=")  # Found like this: nothing.


class Failure(Exception):
    pass


def run(*command, env=None, cwd=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})}, cwd=cwd)
    if done.returncode != 0:
        raise Failure(f"{shlex.join(map(str, command))}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


class Consumers:
    def __init__(self, work, build, compiler):
        self.work, self.compiler, self.prefix = work, compiler, work / "prefix"
        run("cmake", "--install", build, "--prefix", self.prefix)
        self.options = [f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Release", "-G", "Ninja"]
        if shutil.which("ccache"):
            self.options.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")

    def check_output(self, folder, program):
        (folder / "clicks.jsonl").write_text('{"user":"ann","page":7}\n{"user":"bob","page":8}\n')
        output, expected = run(folder / "consumer", cwd=folder), (HERE / f"{program}.expected").read_text()
        if output != expected:
            raise Failure(f"{program} printed {output!r}, expected {expected!r}")

    def cmake(self, folder, program, *options):
        folder = self.work / folder
        run("cmake", "-S", HERE, "-B", folder, f"-DPROGRAM={program}", *self.options, *options)
        run("cmake", "--build", folder, "--target", "consumer", "-j", str(os.cpu_count() or 1))
        self.check_output(folder, program)

    def find_package(self):
        self.cmake("find_package", "core", f"-DCMAKE_PREFIX_PATH={self.prefix}", *HIDDEN)

    def find_package_connect(self):
        self.cmake("find_package_connect", "json", f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def find_package_of(self, component):
        self.cmake(f"find_package_{component}", component, f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def find_package_observe(self):
        self.cmake("find_package_observe", "observe", f"-DCMAKE_PREFIX_PATH={self.prefix}", *HIDDEN)
        for name in ("alerts.yml", "dashboard.json"):
            if not (self.prefix / "share" / "runnel" / name).exists():
                raise Failure(f"{name} is not installed")

    def component_without_its_library(self, program, component, library):
        """Asking for what cannot be offered is an error that names what is missing."""
        try:
            self.cmake(f"find_package_missing_{program}", program, f"-DCMAKE_PREFIX_PATH={self.prefix}", *HIDDEN)
        except Failure as failure:
            if f"runnel::{component} needs {library}" in str(failure):
                return
            raise
        raise Failure(f"runnel::{component} was found without {library}")

    def has(self, component):
        return any(self.prefix.glob(f"**/runnel-{component}.cmake"))

    def add_subdirectory(self):
        self.cmake("add_subdirectory", "json", f"-DRUNNEL_SOURCE={ROOT}", "-DBUILD_SHARED_LIBS=ON")

    def pkg_config(self, program, module):
        folder = self.work / f"pkg_config_{program}"
        folder.mkdir()
        path = {"PKG_CONFIG_PATH": str(next(self.prefix.glob("**/pkgconfig")))}
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", module, env=path))
        run(self.compiler, "-std=c++20", HERE / f"{program}.cpp", "-o", folder / "consumer", *flags)
        self.check_output(folder, program)

    def tool(self):
        if not run(self.prefix / "bin" / "runnel", "version").startswith("runnel "):
            raise Failure("bin/runnel does not tell its version")

    def headers_stay_private(self):
        for program in ("core", "json", "sqlite", "rocksdb", "kafka", "observe"):
            seen = run(self.compiler, "-std=c++20", "-M", "-I", self.prefix / "include", HERE / f"{program}.cpp").split()
            leaked = [name for name in seen if PRIVATE_HEADERS.search(name)]
            if leaked:
                raise Failure(f"{program} sees " + ", ".join(leaked[:5]))

    def libraries_stay_private(self):
        for folder, private in (("find_package", "libfmt|libsimdjson|libboost"), ("find_package_connect", "libfmt|libboost")):
            needed = run("ldd", self.work / folder / "consumer")
            leaked = [line.split()[0] for line in needed.splitlines() if re.search(private, line)]
            if leaked:
                raise Failure(f"{folder} needs " + ", ".join(leaked))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True, help="a finished build to install from")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder to use; it is emptied")
    parser.add_argument("--compiler", default="c++")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    all_ways = Consumers(work, arguments.build, arguments.compiler)

    cases = {
        "find_package": all_ways.find_package,
        "find_package with a component": all_ways.find_package_connect,
        "find_package of a component whose library is missing":
            lambda: all_ways.component_without_its_library("json", "connect", "simdjson"),
        "add_subdirectory, shared libraries": all_ways.add_subdirectory,
        "pkg-config": lambda: all_ways.pkg_config("core", "runnel"),
        "pkg-config of a component": lambda: all_ways.pkg_config("json", "runnel-connect"),
        "the command-line tool": all_ways.tool,
        "private headers are not seen": all_ways.headers_stay_private,
        "private libraries are not needed": all_ways.libraries_stay_private,
    }
    for component, library in ("sqlite", "SQLite"), ("rocksdb", "RocksDB"), ("kafka", "librdkafka"):
        if all_ways.has(component):
            cases |= {
                f"find_package with {library}": functools.partial(all_ways.find_package_of, component),
                f"find_package with {library} missing":
                    functools.partial(all_ways.component_without_its_library, component, component, library),
                f"pkg-config with {library}":
                    functools.partial(all_ways.pkg_config, component, f"runnel-{component}"),
            }
    if all_ways.has("observe"):
        cases |= {
            "find_package with the live page": all_ways.find_package_observe,
            "pkg-config with the live page": lambda: all_ways.pkg_config("observe", "runnel-observe"),
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
