#!/usr/bin/env python3
"""Proves the texts that a wrong program gets from the compiler.

Each case NAME.cpp is compiled twice: with GOOD defined it must compile, with BAD defined it must not, and then the
first error must hold the text of each line "// expect: TEXT" of the case, within MAX_LINES lines of output (the limit
and the text are for gcc; of another compiler only the failure is asked).
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MAX_LINES = 15


def compile_case(compiler, case, macro):
    return subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-fdiagnostics-color=never", f"-D{macro}",
                           "-I", str(ROOT / "include"), str(case)], capture_output=True, text=True, cwd=HERE,
                          stdin=subprocess.DEVNULL)


def problems_of(compiler, is_gcc, case):
    text = case.read_text()
    expected = [e.strip() for e in re.findall(r"^// expect:(.*)$", text, re.MULTILINE)]
    if not expected:
        return ['it has no line "// expect: TEXT"']
    if not re.search(r"\bGOOD\b", text) and not re.search(r"\bBAD\b", text):
        return ["it asks for neither GOOD nor BAD"]
    good = compile_case(compiler, case, "GOOD")
    if good.returncode != 0:
        return ["GOOD does not compile:"] + good.stderr.splitlines()[:8]
    bad = compile_case(compiler, case, "BAD")
    if bad.returncode == 0:
        return ["BAD compiles"]
    if not is_gcc:
        return []
    lines = bad.stderr.splitlines()
    first = next((line for line in lines if re.search(r"\berror:", line)), "")
    problems = [f"the first error lacks: {e}" for e in expected if e not in first]
    if len(lines) > MAX_LINES:
        problems.append(f"{len(lines)} lines of output, at most {MAX_LINES} are wanted")
    return problems + ["    " + line for line in lines[:20]] if problems else []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("cases", nargs="*", help="names of cases; left out: all")
    arguments = parser.parse_args()
    version = subprocess.run([arguments.compiler, "--version"], capture_output=True, text=True).stdout
    is_gcc = "Free Software Foundation" in version

    cases = sorted(HERE.glob("*.cpp"))
    if arguments.cases:
        cases = [c for c in cases if c.stem in arguments.cases]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(lambda c: problems_of(arguments.compiler, is_gcc, c), cases))
    for case, problems in zip(cases, results):
        if problems:
            print(f"FAILED: {case.name}")
            for problem in problems:
                print(f"    {problem}")
    failed = sum(1 for problems in results if problems)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
