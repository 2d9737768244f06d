#!/usr/bin/env python3
"""Does what README.md shows, as a reader would, and compares what comes out.

A block marked "cpp" whose first line is "// NAME.cpp" is saved under that name. Then the blocks marked "console" that
follow it are played, each in turn: a line "$ COMMAND" is run, with runnel installed in a folder of its own where
pkg-config finds it, and the lines up to the next command are its whole output. "$ cat FILE" of a file that does not
exist yet writes it instead. Console blocks before the first such program, and those with a command for git, make or
apt-get, are left alone.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_ALONE = re.compile(r"^\$ (git|make|sudo|apt-get|cd)\b", re.MULTILINE)


def commands_of(block):
    """(command, expected output) pairs; a command may go on behind a backslash."""
    block = block.replace("\\\n", "")
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command.strip(), output


def play(command, expected, work, environment):
    """None, or what went wrong."""
    match = re.fullmatch(r"cat (\S+)", command)
    if match and not (work / match[1]).exists():
        (work / match[1]).write_text(expected)
        return None
    done = subprocess.run(["bash", "-c", command], cwd=work, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)
    output = done.stdout + done.stderr
    if done.returncode != 0:
        return f"$ {command}\nended with {done.returncode}:\n{output[-3000:]}"
    if output.rstrip() != expected.rstrip():
        return f"$ {command}\nprinted:\n{output}\nbut is said to print:\n{expected}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True, help="a finished build to install from")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder to use; it is emptied")
    parser.add_argument("--readme", type=pathlib.Path, default=ROOT / "README.md")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    prefix = work / "prefix"
    subprocess.run(["cmake", "--install", str(arguments.build), "--prefix", str(prefix)], check=True,
                   stdout=subprocess.DEVNULL)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PKG_CONFIG_PATH": str(next(prefix.glob("**/pkgconfig"))),
                   "CMAKE_PREFIX_PATH": str(prefix)}

    passed = failed = 0
    programs = 0
    for language, block in BLOCK.findall(arguments.readme.read_text()):
        named = re.match(r"// (\w+\.cpp)\n", block)
        if language == "cpp" and named:
            programs += 1
            (work / named[1]).write_text(block)
        elif language == "console" and programs and not LEFT_ALONE.search(block):
            for command, expected in commands_of(block):
                problem = play(command, expected, work, environment)
                if problem:
                    failed += 1
                    print(f"FAILED: {problem}")
                else:
                    passed += 1
    if not programs:
        failed += 1
        print('FAILED: README.md shows no program: a block marked "cpp" that begins with "// NAME.cpp"')
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
