#!/usr/bin/env python3
"""Breaks the code on purpose, in one place at a time, and demands that a torture program notices.

Works on a copy of the tree under build/mutants. mutants.py [NUMBER...]: only those. Ends with one line
"torture R20 CAUGHT of ALL differences SURVIVED seed 0 seconds T".
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COPY = ROOT / "build" / "mutants"
COORDINATOR = "src/runtime/checkpoint_coordinator.cpp"
ROLLING = "src/connect/rolling_files.cpp"
SCHEDULES = [("schedules", ["3000"])]
CALLS = [("failing_calls", ["8"])]
RESCALE = [("rescale", ["4"])]

# What is wrong, where, what stands there, what stands there instead, which programs look.
MUTANTS = [
    ("a sink commits before the checkpoint is durable", COORDINATOR,
     "        write(c, on_request.get());\n", "        commit(c.id, prepared);\n        write(c, on_request.get());\n",
     SCHEDULES + CALLS),
    ("a barrier is not awaited on all inputs", "src/exchange/gate.cpp",
     "if (!inputs_[i].held_for_barrier && !merger_.is_finished(i)) return false;",
     "if (inputs_[i].held_for_barrier) return true;", SCHEDULES),
    ("inputs are not held back behind their barrier", "src/exchange/gate.cpp",
     "if (inputs_[i].held_for_barrier || !inputs_[i].from->pop(current_)) continue;",
     "if (!inputs_[i].from->pop(current_)) continue;", SCHEDULES),
    ("timers are not in the snapshot", "include/runnel/state/keyed_state.hpp",
     "if (s >= timer.cells.size() || timer.cells[s].empty()) return;", "return;", SCHEDULES),
    ("a generator's value is not in the snapshot", "include/runnel/source/source_stage.hpp",
     "codec<std::int64_t>::encode(splits_[i].value.ns(), bytes);",
     "codec<std::int64_t>::encode(timestamp::min().ns(), bytes);", SCHEDULES),
    ("a source's position is off by one", "include/runnel/source/generator.hpp",
     "return detail::encode_generator_position(done_, splits_);",
     "return detail::encode_generator_position(done_ + (done_ < total_), splits_);", SCHEDULES),
    ("what was prepared is not committed after a restore", ROLLING,
     "            if (files.exists(temporary))\n", "            if (!again && files.exists(temporary))\n", SCHEDULES),
    ("what came after the checkpoint is not removed", ROLLING,
     "        options.files->remove(path);\n", "", SCHEDULES),
    ("files that are given their names are not synced to their folder", ROLLING,
     "    sync_each(files, std::move(folders));\n}\n\nvoid remove_unprepared", "}\n\nvoid remove_unprepared", SCHEDULES),
    ("a file's bytes are not synced before it is prepared", ROLLING, "    f.to->sync();\n", "", SCHEDULES),
    ("a file of lines is not cut back", "src/connect/lines_sink.cpp",
     "if (size != *length) file_->truncate(*length);", "", SCHEDULES),
    ("a file of lines is not synced at a checkpoint", "src/connect/lines_sink.cpp",
     "        file_->sync();\n        files_->sync_directory", "        files_->sync_directory", SCHEDULES),
    ("the last checkpoint of a bounded job is left out", COORDINATOR,
     "if (!job_.is_stopping() && !stopped && store_) make_last();", "", SCHEDULES),
    ("what was prepared for a failed checkpoint is forgotten", COORDINATOR,
     "            for (std::string& p : at->second) carried_[node].push_back(std::move(p));", "            (void)node;",
     SCHEDULES + CALLS),
    ("a manifest is not synced before it gets its name", "src/checkpoint/checkpoint_files.cpp",
     "            f->append(encode(m));\n            f->sync();\n", "            f->append(encode(m));\n",
     [("checkpoint_power", ["2000"])]),
    ("the folder is not synced when a manifest has got its name", "src/checkpoint/checkpoint_files.cpp",
     "        files.rename(partial, complete);\n        files.sync_directory(folder);\n",
     "        files.rename(partial, complete);\n", [("checkpoint_power", ["2000"])]),
    ("a finished subtask is not in later checkpoints", COORDINATOR,
     "    ended_[subtask] = std::move(state);\n", "    ended_[subtask] = {};\n    (void)state;\n", SCHEDULES),
    ("a stop with a savepoint does not commit", COORDINATOR,
     "on_request && !on_request->savepoint.empty() && !on_request->stop", "on_request && !on_request->savepoint.empty()",
     RESCALE),
    ("key groups go to the wrong subtask when it is restored", "include/runnel/checkpoint/snapshot.hpp",
     "g != it->second.end() && g->first < mine_.last", "g != it->second.end() && g->first + 1 < mine_.last",
     SCHEDULES + RESCALE),
    ("records held for event-time order are not in the snapshot", "include/runnel/operators/process_in_order.hpp",
     "        core_.save(to);\n", "        core_.save(to);\n        return;\n", SCHEDULES),
]


def run(command, **more):
    return subprocess.run(command, cwd=COPY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def build(programs):
    targets = [f"runnel_torture_{name}" for name, _ in programs]
    return run(["cmake", "--build", "--preset", "release", "-j", str(os.cpu_count() or 1), "--target", *targets])


def main():
    mutants = MUTANTS
    chosen = [int(a) for a in sys.argv[1:]] or range(1, len(mutants) + 1)
    started = time.monotonic()
    COPY.mkdir(parents=True, exist_ok=True)
    # Only what has changed, so that what is built stays of use.
    for path in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split():
        here, there = ROOT / path, COPY / path
        if here.is_file() and (not there.is_file() or here.read_bytes() != there.read_bytes()):
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(here, there)
    os.environ["CCACHE_BASEDIR"] = str(COPY)
    os.environ["CCACHE_NOHASHDIR"] = "1"
    run(["cmake", "--preset", "release", "-Wno-dev", "-DRUNNEL_TESTS=ON", "-DRUNNEL_BENCH=OFF", "-DRUNNEL_EXAMPLES=OFF"])
    caught = survived = 0
    for number in chosen:
        what, path, old, new, programs = mutants[number - 1]
        file = COPY / path
        text = file.read_text()
        if text.count(old) != 1:
            print(f"{number}. {what}: its place in {path} is not there once, but {text.count(old)} times")
            survived += 1
            continue
        file.write_text(text.replace(old, new))
        try:
            made = build(programs)
            if made.returncode != 0:
                print(f"{number}. {what}: does not compile\n{made.stdout[-2000:]}")
                survived += 1
                continue
            by = None
            for name, arguments in programs:
                try:
                    done = run([str(COPY / "build" / "release" / "tests" / f"runnel_torture_{name}"), *arguments],
                               timeout=300)
                    if done.returncode != 0:
                        by = name
                        break
                except subprocess.TimeoutExpired:
                    by = name + ", which does not end"
                    break
            print(f"{number}. {what}: " + (f"caught by {by}" if by else "SURVIVED"), flush=True)
            caught += by is not None
            survived += by is None
        finally:
            file.write_text(text)
    print(f"torture R20 {caught} of {caught + survived} differences {survived} seed 0 "
          f"seconds {time.monotonic() - started:.1f}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
