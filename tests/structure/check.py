#!/usr/bin/env python3
"""Checks the shape of the source tree: layers, includes, names, and that each public header stands alone.

With --write-umbrella it writes the headers that only include others, such as include/runnel/runnel.hpp, anew and does
nothing else.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PUBLIC = ROOT / "include" / "runnel"
# One header to include for each component to link, with its part of the public headers; "runnel" is for what is left.
# Of the test kit a test includes what it needs.
UMBRELLAS = {
    "kafka": re.compile(r"connect/(kafka_|schema_registry)|codec/avro"),
    "log": re.compile(r"log/"),
    "observe": re.compile(r"observe/"),
    "rocksdb": re.compile(r"connect/rocksdb"),
    "sqlite": re.compile(r"connect/sqlite"),
    "runnel": re.compile(r"(?!testing/)"),
}

# Layers from the left to the right: a folder may include what is in its own layer's left.
LAYERS = [
    ["core"],
    ["codec", "state", "checkpoint"],
    ["source", "operators", "exchange", "window", "sink"],
    ["plan"],
    ["runtime"],
    ["graph"],
    ["log", "connect", "observe", "testing"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# What may be included inside a layer.
SIDEWAYS = {("state", "codec"), ("state", "checkpoint"), ("checkpoint", "codec"), ("window", "operators"),
            ("sink", "operators")}

# Must not be seen by who includes a public header: slow to compile, or a library the user would have to install.
PRIVATE = re.compile(r"boost/(asio|beast)|^asio|concurrentqueue|simdjson|^sqlite3|^rocksdb/|^librdkafka|^fmt/|^rapidcheck|"
                     r"^doctest")
# Put together, so that this file does not find itself.
LEFT_OPEN = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b", re.IGNORECASE)
FOLDERS = {"include", "src", "examples", "bench", "tests", ".ci", ".github"}
FILES = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "CHANGELOG.md", "Makefile"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)
MAX_LINES = 600
MANY_LINES = 200


def tracked():
    """The files of the project: those that git knows, or all outside build folders."""
    git = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                         capture_output=True, text=True)
    if git.returncode == 0 and git.stdout:
        names = git.stdout.splitlines()
    else:
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file()]
        names = [n for n in names if not n.startswith(("build", ".git/", ".cache"))]
    return sorted(n for n in names if (ROOT / n).is_file())


def headers():
    return sorted(PUBLIC.glob("*/**/*.hpp"))


def name_of(header):
    return "runnel/" + header.relative_to(PUBLIC).as_posix()


def includes(path):
    return INCLUDE.findall(path.read_text())


def folder_of(include):
    """The layer folder that an include names, or None."""
    parts = include.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "runnel" and parts[1] in RANK else None


def umbrella_texts():
    """Of each umbrella the path and what it must be."""
    names = {umbrella: [] for umbrella in UMBRELLAS}
    for header in headers():
        there = header.relative_to(PUBLIC).as_posix()
        part = next((umbrella for umbrella, pattern in UMBRELLAS.items() if pattern.match(there)), None)
        if part:
            names[part].append(name_of(header))
    return {PUBLIC / f"{umbrella}.hpp": "#pragma once\n\n" + "".join(f'#include "{n}"\n' for n in included)
            for umbrella, included in names.items()}


def check_folders():
    return [f"{name_of(h)}: {h.parent.name} is not a layer" for h in headers()
            if h.relative_to(PUBLIC).parts[0] not in RANK or len(h.relative_to(PUBLIC).parts) != 2]


def folder_includes():
    """(file, own folder, included folder, include) for headers and sources."""
    for base in (PUBLIC, ROOT / "src"):
        for path in sorted(base.rglob("*.[ch]pp")):
            parts = path.relative_to(base).parts
            if len(parts) < 2 or parts[0] not in RANK:
                continue
            for include in includes(path):
                there = folder_of(include)
                if there and there != parts[0]:
                    yield path.relative_to(ROOT), parts[0], there, include


def check_arrows():
    problems = []
    for path, here, there, include in folder_includes():
        if RANK[there] > RANK[here] or (RANK[there] == RANK[here] and (here, there) not in SIDEWAYS):
            problems.append(f"{path} includes {include}: {here} must not see {there}")
    return problems


def check_pairs():
    pairs = {(here, there) for _, here, there, _ in folder_includes()}
    return [f"{a} and {b} include each other" for a, b in sorted(pairs) if a < b and (b, a) in pairs]


def check_cycles():
    graph = {name_of(h): [i for i in includes(h) if i.startswith("runnel/")] for h in headers()}
    problems, done, path = [], set(), []

    def visit(name):
        if name in path:
            problems.append(" -> ".join(path[path.index(name):] + [name]))
            return
        if name in done or name not in graph:
            return
        path.append(name)
        for include in graph[name]:
            visit(include)
        path.pop()
        done.add(name)

    for name in graph:
        visit(name)
    return problems


def check_umbrella():
    problems = [f"{name_of(p)} is no umbrella" for p in PUBLIC.glob("*.hpp") if p not in umbrella_texts()]
    for path, text in umbrella_texts().items():
        have = path.read_text() if path.exists() else ""
        if have != text:
            want, there = set(INCLUDE.findall(text)), set(INCLUDE.findall(have))
            problems += [f"{name_of(path)}: missing: {n}" for n in sorted(want - there)]
            problems += [f"{name_of(path)}: does not belong: {n}" for n in sorted(there - want)]
            problems += [f"{name_of(path)} differs from the list of public headers: run tests/structure/check.py "
                         "--write-umbrella"]
    return problems


def check_umbrella_unused():
    files = headers() + sorted((ROOT / "src").rglob("*.[ch]pp"))
    umbrellas = {name_of(path) for path in umbrella_texts()}
    return [f"{f.relative_to(ROOT)} includes {i}" for f in files for i in includes(f) if i in umbrellas]


def check_private():
    return [f"{name_of(h)} includes {i}" for h in headers() for i in includes(h) if PRIVATE.search(i)]


def check_full_paths():
    problems = []
    for h in headers():
        for line in h.read_text().splitlines():
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if match and not (match[1].startswith("runnel/") and (ROOT / "include" / match[1]).exists()):
                problems.append(f'{name_of(h)}: "{match[1]}" is not a path from include/')
    return problems


def check_pragma():
    return [name_of(h) for h in headers() if not h.read_text().startswith("#pragma once\n")]


def check_lines():
    problems, long = [], []
    for h in headers():
        n = h.read_text().count("\n")
        (problems if n > MAX_LINES else long if n > MANY_LINES else []).append(f"{name_of(h)}: {n} lines")
    if long:
        print(f"note: headers of more than {MANY_LINES} lines: " + ", ".join(long))
    return problems


def check_macros():
    """A macro must not change a type: public headers ask for none but those of the compiler and the library."""
    allowed = re.compile(r"__\w+|_GLIBCXX\w*|_LIBCPP\w*|defined|has_include|BOOST_\w+")
    problems = []
    for h in headers():
        for number, line in enumerate(h.read_text().splitlines(), 1):
            match = re.match(r"\s*#\s*(?:if|ifdef|ifndef|elif)\b(.*)", line)
            if match:
                odd = [w for w in re.findall(r"[A-Za-z_]\w*", match[1].split("//")[0]) if not allowed.fullmatch(w)]
                if odd and "__has_include" not in match[1]:
                    problems.append(f"{name_of(h)}:{number}: depends on {', '.join(odd)}")
    return problems


def source_lines(names):
    for name in names:
        if not name.endswith((".hpp", ".cpp", ".py", ".txt", ".in", ".json", ".sh")) and "." in name.split("/")[-1]:
            continue
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            yield name, number, line


def check_left_open():
    names = [n for n in tracked() if n.startswith(("include/", "src/", "examples/", "bench/", "tests/"))]
    return [f"{name}:{number}: {line.strip()}" for name, number, line in source_lines(names) if LEFT_OPEN.search(line)]


def check_addresses():
    names = [n for n in tracked() if n.startswith(("examples/", "bench/", "tests/", ".ci/")) or n == "Makefile" or
             n.endswith(("CMakeLists.txt", ".cmake", ".cmake.in"))]
    here = re.compile(r"https?" + "://(?!localhost|127\\.0\\.0\\.1|\\[::1\\]|[a-z.]*example\\.(?:com|org))")
    return [f"{name}:{number}: {line.strip()}" for name, number, line in source_lines(names) if here.search(line)]


def check_layout():
    problems = set()
    for name in tracked():
        first, _, rest = name.partition("/")
        if rest and first not in FOLDERS:
            problems.add(f"folder {first}/ is outside the layout")
        if not rest and first not in FILES and not first.startswith("."):
            problems.add(f"file {first} is outside the layout")
    return sorted(problems)


def check_wide_lines():
    names = [n for n in tracked() if n.endswith((".hpp", ".cpp")) and not n.startswith("tests/")]
    return [f"{name}:{number}: {len(line)} columns" for name, number, line in source_lines(names) if len(line) > 120]


def check_alone(compiler, flags):
    """Compiles each header by itself; returns {header: first error or None}."""
    def compile_one(header):
        done = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                               "-I", str(ROOT / "include"), "-x", "c++", *flags, "-"], capture_output=True, text=True,
                              input=f'#include "{name_of(header)}"\n#include "{name_of(header)}"\n')
        return None if done.returncode == 0 else "\n".join(done.stderr.splitlines()[:6])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return collections.OrderedDict(zip(map(name_of, headers()), pool.map(compile_one, headers())))


RULES = [
    ("every public header lies in a folder that is a layer", check_folders),
    ("includes follow the layers from right to left", check_arrows),
    ("no two folders include each other", check_pairs),
    ("no header includes itself by a detour", check_cycles),
    ("the umbrella includes all public headers and holds nothing else", check_umbrella),
    ("no own file includes the umbrella", check_umbrella_unused),
    ("no public header includes a private library", check_private),
    ("public headers are included by their full path", check_full_paths),
    ("every header begins with pragma once", check_pragma),
    ("no public header is longer than one concept", check_lines),
    ("no macro changes what a public header declares", check_macros),
    ("nothing is marked as left open", check_left_open),
    ("build, tests and benchmarks name no address outside the machine", check_addresses),
    ("the top level holds what the layout names", check_layout),
    ("no line outside the tests is wider than 120 columns", check_wide_lines),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--write-umbrella", action="store_true")
    parser.add_argument("--quick", action="store_true", help="leave out what needs the compiler")
    arguments, flags = parser.parse_known_args()
    if arguments.write_umbrella:
        for path, text in umbrella_texts().items():
            path.write_text(text)
        return 0

    passed = failed = 0
    for rule, check in RULES:
        problems = check()
        passed, failed = (passed, failed + 1) if problems else (passed + 1, failed)
        if problems:
            print(f"FAILED: {rule}")
            for problem in problems:
                print(f"    {problem}")
    if not arguments.quick:
        for header, error in check_alone(arguments.compiler, flags).items():
            passed, failed = (passed, failed + 1) if error else (passed + 1, failed)
            if error:
                print(f"FAILED: {header} does not compile alone\n{error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
