#!/usr/bin/env python3
"""Breaks the code on purpose, in one place at a time, and demands that a test notices.

Works on a copy of the tree under build/mutants. mutants.py [NUMBER...]: only those. Ends with one line
"torture R20 CAUGHT of ALL differences SURVIVED seed 0 seconds T"; the exit code is 0 only if none survived.
mutants.py --check: only whether each still has its place in the code; ends with "N passed, N failed".
"""
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COPY = ROOT / "build" / "mutants"
TIMEOUT = 300

STEPS = ("torture_steps", "2")
SCHEDULES = ("torture_schedules", "3000")
CALLS = ("torture_failing_calls", "1")
RESCALE = ("torture_rescale", "4")
POWER = ("torture_checkpoint_power", "2000")
CHECKPOINT_CALLS = ("torture_checkpoint_calls", "1000")
JOB_MEMORY = ("torture_job_memory", "300")
LOG_POWER = ("torture_log_power", "2000")
LOG_CALLS = ("torture_log_calls", "1000")
LOG_TAIL = ("torture_log_tail", "3000")


def test(folder, cases):
    return f"test_{folder}", f"-tc={cases}"


# Per file: what is wrong, what stands there, what stands there instead, which programs look, the quickest first.
MUTANTS = {
    "src/runtime/checkpoint_coordinator.cpp": [
        ("a sink commits before the checkpoint is durable",
         "        write(c, on_request.get());\n", "        commit(c, prepared);\n        write(c, on_request.get());\n",
         [STEPS, SCHEDULES]),
        ("sinks do not commit", "            n.commit(c.id, owner(of_node.first), of_node.second);\n", "            (void)n;\n", [STEPS]),
        ("sinks do not learn what the restored checkpoint holds",
         "n.recover(restored_ ? restored_->id : 0, owner(id), prepared_for(id));", "n.recover(0, owner(id), {});", [STEPS]),
        ("the number of the restored checkpoint is forgotten",
         "        last_ = std::max(last_, *newest);\n", "", [STEPS]),
        ("the last checkpoint of a bounded job is left out",
         "if (!job_.is_stopping() && !stopped && store_) make_last();", "", [STEPS]),
        ("what was prepared for a failed checkpoint is forgotten",
         "        for (std::string& p : parts) carried_[node].push_back(std::move(p));", "        (void)node;",
         [STEPS, SCHEDULES]),
        ("what was prepared for a checkpoint that could not be written is forgotten",
         "    if (failure) {\n        std::lock_guard lock(mutex_);\n        carry(std::move(prepared));\n",
         "    if (failure) {\n        std::lock_guard lock(mutex_);\n", [STEPS, CALLS]),
        ("what was prepared for a savepoint is forgotten",
         "        std::lock_guard lock(mutex_);\n        carry(std::move(prepared));\n    } else {",
         "    } else {", [STEPS]),
        ("what a finished subtask has prepared is committed with every checkpoint",
         "                if (graph_.nodes[node].commit) saved.local.erase(prepared_name);\n", "",
         [test("graph", "*is part of one checkpoint*")]),
        ("a finished subtask is not in later checkpoints",
         "    ended_[subtask] = std::move(state);\n", "    ended_[subtask] = {};\n    (void)state;\n", [STEPS, SCHEDULES]),
        ("a subtask of the life before counts after a restart", "        ended_.clear();\n", "",
         [test("graph", "*the life before*")]),
        ("results of the life before are carried into the one after", "        carried_.clear();\n", "",
         [test("graph", "*the life before*")]),
        ("a checkpoint whose results were not shown is gone on from", "    if (is_at()) return;\n", "    return;\n",
         [STEPS]),
        ("a checkpoint that is given up is not removed", "    store_->remove(newest);\n", "    (void)newest;\n",
         [STEPS]),
        ("the checkpoint before is gone on from though its results are not those that are shown",
         "    if (!is_at()) return std::swap(restored_, before);\n", "", [test("runtime", "*what does not fit*")]),
        ("a writer is not told that its checkpoint has failed",
         "        if (graph_.nodes[node].postpone) graph_.nodes[node].postpone(parts);\n", "",
         [test("runtime", "*let the writers go on*")]),
        ("a checkpoint is complete when one subtask is missing", "    return missing == 0;", "    return missing <= 1;",
         [STEPS, SCHEDULES]),
        ("a stop with a savepoint does not commit",
         "    if (on_request && !is_for_recovery(*on_request)) {\n        std::lock_guard lock(mutex_);\n        carry",
         "    if (on_request && on_request->what == request::kind::savepoint) {\n        std::lock_guard lock(mutex_);\n"
         "        carry", [RESCALE]),
        ("a checkpoint is acknowledged that is not written",
         "    if (store_ && (!on_request || is_for_recovery(*on_request))) store_->write(c);",
         "    if (store_ && on_request && on_request->stop) store_->write(c);", [STEPS]),
        ("older checkpoints are kept for ever",
         "        store_->prune(std::max<std::size_t>(1, options_.checkpoints.keep));\n", "", [STEPS]),
        ("a step has no name", "        tell(checkpoint_step::trim, newest);\n", "", [STEPS]),
        ("a job without memory asks for more to end",
         "    drop(\"the job has ended before the checkpoint was complete\");",
         "    give_up(\"the job has ended before the checkpoint was complete\");", [JOB_MEMORY]),
    ],
    "src/runtime/job_core.cpp": [
        ("a job that could not be built is waited for",
         "    build();\n    std::size_t count", "    was_started_ = true;\n    build();\n    std::size_t count", [JOB_MEMORY]),
        ("readers are begun that could not be opened",
         "if (s->is_open) s->source->begin();", "if (s->source) s->source->begin();", [("torture_job_memory", "0")]),
        ("operators get no state at a restore",
         "            if (of_node != nullptr) of_node->load(reader);", "            if (of_node != nullptr) continue;", [STEPS]),
    ],
    "src/runtime/subtask.cpp": [
        ("a source does not send its barrier through its own operators",
         "    if (source->barrier(sending_) == progress::blocked) return progress::blocked;\n", "", [STEPS, SCHEDULES]),
        ("a stage is missing in the snapshot",
         "for (std::size_t i = 0; i < stages.size(); ++i) add(", "for (std::size_t i = 1; i < stages.size(); ++i) add(",
         [STEPS]),
    ],
    "src/exchange/gate.cpp": [
        ("a barrier is not awaited on all inputs",
         "if (!inputs_[i].held_for_barrier && !merger_.is_finished(i)) return false;",
         "if (inputs_[i].held_for_barrier) return true;", [STEPS, SCHEDULES]),
        ("inputs are not held back behind their barrier",
         "if (inputs_[i].held_for_barrier || !inputs_[i].from->pop(current_)) continue;",
         "if (!inputs_[i].from->pop(current_)) continue;", [STEPS, SCHEDULES]),
        ("inputs are held back for ever",
         "        for (input& in : inputs_) in.held_for_barrier = false;\n        if (listener_)", "        if (listener_)", [STEPS]),
        ("a finished input is waited for",
         "if (!inputs_[i].held_for_barrier && !merger_.is_finished(i)) return false;",
         "if (!inputs_[i].held_for_barrier) return false;", [test("exchange", "*barrier*"), STEPS]),
        ("a barrier does not pass the operators",
         "        if (signals_->on_barrier(aligning_) == progress::blocked) return progress::blocked;\n", "", [STEPS]),
    ],
    "src/core/output.cpp": [
        ("a barrier is not forwarded",
         "    return each([id](output_base& o) { return o.forward_barrier(id); });",
         "    (void)id;\n    return progress::done;", [STEPS]),
    ],
    "src/sink/sink_stage.cpp": [
        ("a sink does not prepare at a barrier", "            prepare(id);\n", "", [STEPS]),
        ("a sink does not prepare at the end",
         "    if (p == progress::done && !context_.owner.empty()) prepare(0);\n", "", [STEPS]),
    ],
    "include/runnel/sink/write_ahead_sink.hpp": [
        ("what a target holds already is stored again", "        if (stored(owner) >= id) return;\n", "", [STEPS]),
        ("what was prepared is not stored after a restore",
         "        if (id != 0) commit(id, owner, prepared);\n    }\n\nprivate:", "    }\n\nprivate:", [STEPS]),
    ],
    "include/runnel/core/watermark.hpp": [
        ("the largest watermark of all inputs counts",
         "if (counts(in) && (!lowest || in.at < *lowest)) lowest = in.at;",
         "if (counts(in) && (!lowest || in.at > *lowest)) lowest = in.at;", [SCHEDULES]),
    ],
    "include/runnel/source/watermarks.hpp": [
        ("a watermark is off by one", "(t - bound).previous()", "(t - bound)", [STEPS, SCHEDULES]),
    ],
    "src/source/source_stage.cpp": [
        ("a generator's value is not in the snapshot",
         "codec<std::int64_t>::encode(splits_[i].value.ns(), bytes);",
         "codec<std::int64_t>::encode(timestamp::min().ns(), bytes);", [test("source", "survival*")]),
        ("a source's watermark is not in the snapshot",
         "codec<std::int64_t>::encode(merger_.current().ns(), to.local(\"watermark\"));",
         "codec<std::int64_t>::encode(timestamp::min().ns(), to.local(\"watermark\"));", [test("source", "survival*")]),
        ("a split that had ended is read again", "            if (finished) merger_.finish(i);\n", "",
         [test("source", "finished splits*")]),
    ],
    "include/runnel/source/generator.hpp": [
        ("a source's position is one too far", "return detail::encode_generator_position(done_, splits_);",
         "return detail::encode_generator_position(done_ + (done_ < total_), splits_);", [STEPS]),
        ("a source's position is one too low", "return detail::encode_generator_position(done_, splits_);",
         "return detail::encode_generator_position(done_ - (done_ > 0), splits_);", [STEPS]),
    ],
    "include/runnel/state/keyed_state.hpp": [
        ("the watermark of keyed state is not in the snapshot",
         "codec<timestamp>::encode(restored_.of_group(g, watermark), to.keyed(\"watermark\", g));",
         "codec<timestamp>::encode(timestamp::min(), to.keyed(\"watermark\", g));", [STEPS, SCHEDULES]),
    ],
    "src/state/state_parts.cpp": [
        ("timers are not in the snapshot",
         "if (timer.cells[s].empty()) return;", "return;", [SCHEDULES]),
        ("a state is missing in the snapshot", "            if (c->holds(s)) c->save(s, out);",
         "            if (c->holds(s) && c != columns.front()) c->save(s, out);", [STEPS]),
    ],
    "include/runnel/state/broadcast_state.hpp": [
        ("what a broadcast map held at the barrier is not copied before it changes",
         "            if (frozen_) [[unlikely]] frozen_->before_change(key);\n", "            {}\n",
         [test("operators", "*behind a barrier*"), test("state", "*broadcast map*")]),
    ],
    "include/runnel/state/frozen_map.hpp": [
        ("elements that have been erased since the barrier are not in the snapshot",
         "            bytes += put_changed(nullptr);\n", "", [test("state", "*frozen map*")]),
    ],
    "include/runnel/state/key_scope.hpp": [
        ("what a key in hand held at the barrier is not copied before it changes", "        announce(s);\n        slot_ = s;",
         "        slot_ = s;", [test("state", "what is copied of keyed state*")]),
    ],
    "include/runnel/window/slice_window_operator.hpp": [
        ("windows' watermark is not in the snapshot",
         "        restored_.save(to, context_.mine, watermark_);", "        restored_.save(to, context_.mine, timestamp::min());",
         [STEPS, SCHEDULES]),
        ("a record is late one tick too late", "            if (span.cleared <= w) {", "            if (span.cleared < w) {",
         [STEPS, SCHEDULES]),
    ],
    "include/runnel/window/session_window_operator.hpp": [
        ("a record is late for its session one tick too late",
         "detail::cleared_at(merged.end, lateness_) <= w) {", "detail::cleared_at(merged.end, lateness_) < w) {",
         [STEPS, SCHEDULES]),
    ],
    "include/runnel/window/session_list.hpp": [
        ("sessions that touch do not merge", "if (s.start <= opened.end && opened.start <= s.end)",
         "if (s.start < opened.end && opened.start < s.end)", [STEPS, SCHEDULES]),
    ],
    "include/runnel/operators/process_in_order.hpp": [
        ("records held for event-time order are not in the snapshot",
         "        core_.save(to);\n", "        core_.save(to);\n        return;\n", [STEPS, SCHEDULES]),
    ],
    "include/runnel/operators/process_core.hpp": [
        ("a timer fires before records of its time", "const bool record_first = record && (!e || *record <= e->time);",
         "const bool record_first = record && (!e || *record < e->time);", [SCHEDULES]),
    ],
    "include/runnel/checkpoint/snapshot.hpp": [
        ("a key group goes to no subtask when it is restored",
         "g != it->second.end() && g->first < mine_.last", "g != it->second.end() && g->first + 1 < mine_.last",
         [SCHEDULES, RESCALE]),
    ],
    "src/connect/rolling_files.cpp": [
        ("what was prepared is not committed after a restore",
         "            if (files.exists(temporary))\n", "            if (!again && files.exists(temporary))\n", [STEPS]),
        ("what came after the checkpoint is not removed", "        options.files->remove(path);\n", "", [STEPS]),
        ("files that are given their names are not synced to their folder",
         "    sync_each(files, std::move(folders));\n}\n\nvoid remove_unprepared", "}\n\nvoid remove_unprepared", [STEPS]),
        ("prepared files are not synced to their folder",
         "    sync_each(*options_.files, std::move(folders));\n    return bytes;", "    return bytes;",
         [test("connect", "what a checkpoint is told of*")]),
        ("a file's bytes are not synced before it is prepared", "    f.to->sync();\n", "", [STEPS, SCHEDULES]),
    ],
    "src/connect/lines_sink.cpp": [
        ("a file of lines is not cut back", "if (size != *length) file_->truncate(*length);", "", [SCHEDULES]),
        ("a file of lines is not synced at a checkpoint",
         "        file_->sync();\n        files_->sync_directory", "        files_->sync_directory", [STEPS, SCHEDULES]),
    ],
    "src/checkpoint/checkpoint_files.cpp": [
        ("state is not synced before the manifest is written",
         "    tell(on_step, checkpoint_step::sync_data, m.id);\n    f->sync();\n",
         "    tell(on_step, checkpoint_step::sync_data, m.id);\n", [STEPS, POWER]),
        ("the name of the file of state is not synced before the manifest has its own",
         "            tell(on_step, checkpoint_step::sync_data_folder, c.id);\n            files.sync_directory(folder);\n",
         "            tell(on_step, checkpoint_step::sync_data_folder, c.id);\n", [STEPS, POWER]),
        ("a manifest is not synced before it gets its name",
         "            tell(on_step, checkpoint_step::sync_manifest, c.id);\n            f->sync();\n",
         "            tell(on_step, checkpoint_step::sync_manifest, c.id);\n", [STEPS, POWER]),
        ("the folder is not synced when a manifest has got its name",
         "        tell(on_step, checkpoint_step::sync_manifest_folder, c.id);\n        files.sync_directory(folder);\n",
         "        tell(on_step, checkpoint_step::sync_manifest_folder, c.id);\n", [STEPS, POWER]),
        ("a manifest is written under its own name", "            const auto f = create_anew(files, partial);\n            f->append",
         "            create_anew(files, partial);\n            const auto f = create_anew(files, complete);\n            f->append",
         [STEPS, POWER]),
        ("state that is needed is removed",
         "            for (const auto& f : read_manifest(files, folder, id).files) needed.insert(f.number);",
         "            needed.insert(read_manifest(files, folder, id).id);", [POWER]),
        ("state goes before the removal of its manifest is durable",
         "    files.sync_directory(folder);\n    for (const std::uint64_t number : unneeded)",
         "    for (const std::uint64_t number : unneeded)", [POWER]),
        ("unchanged state is looked for in the wrong place", "            c.offset = same->offset;", "            c.offset = end;",
         [POWER]),
        ("the checksums of state are not looked at",
         "    if (crc32c(*w.into) != c.crc || xxh64::of(*w.into) != c.hash) refuse(path, w, \"does not have its checksum\");\n",
         "", [test("checkpoint", "*")]),
        ("a failed write leaves its manifest behind", "        if (!may_be_complete || (attempt_remove(files, complete)",
         "        if (!may_be_complete || (files.exists(complete)", [CHECKPOINT_CALLS]),
    ],
    "src/checkpoint/checkpoint_store.cpp": [
        ("one checkpoint too few is kept",
         "there.end() - static_cast<std::ptrdiff_t>(keep)", "there.end() - static_cast<std::ptrdiff_t>(keep - 1)", [POWER]),
        ("two jobs may have one folder", "    if (!lock_->try_lock())\n", "    if (!lock_)\n",
         [test("checkpoint", "*")]),
    ],
    "src/core/file_system.cpp": [
        ("a failed sync is tried again", "    poisoned_ = true;\n    do_sync();", "    do_sync();", [test("core", "*sync*")]),
    ],
    "src/log/writer_core.cpp": [
        ("what is flushed is not synced", "    file_->sync();\n    synced_ = position_;", "    synced_ = position_;",
         [LOG_POWER]),
        ("a complete segment is not synced", "            sync_file();\n            begin_segment", "            begin_segment",
         [LOG_POWER]),
    ],
    "src/log/recovery.cpp": [
        ("the name of a new segment is not synced",
         "    f->write(0, header.encode(p.salt()));\n    f->sync();\n    p.files().sync_directory(p.folder());\n",
         "    f->write(0, header.encode(p.salt()));\n    f->sync();\n", [LOG_POWER]),
        ("a torn end is not cut", "        s.file->truncate(s.size);\n", "", [LOG_TAIL]),
        ("damage with records behind it is cut", "        if (complete || seen.synced) damaged(*s.file, s.size, s.next);\n", "",
         [LOG_TAIL, test("log", "*")]),
    ],
    "src/log/batch_cursor.cpp": [
        ("the checksums of records are not looked at", "return crc32c(body_) == header_.body_crc;", "return true;", [LOG_TAIL]),
    ],
    "src/log/durable_inlet.cpp": [
        ("a push is acknowledged before it is durable", "    to.sync();\n", "", [test("log", "*durable inlet*")]),
    ],
    "src/log/log_sink.cpp": [
        ("what was prepared in a log is not committed after a restore", "    commit(prepared);\n    for (", "    (void)prepared;\n    for (",
         [test("log", "*exactly once*")]),
        ("what came after the checkpoint stays in a log",
         "                writer(partition)->abort_after(p.writer, p.checkpoint - 1);\n", "", [test("log", "*")]),
    ],
}


def run(command, **more):
    return subprocess.run(command, cwd=COPY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def build(program):
    """What the compiler says if that fails, else None."""
    jobs = os.environ.get("JOBS") or str(os.cpu_count() or 1)
    made = run(["cmake", "--build", "--preset", "release", "-j", jobs, "--target", f"runnel_{program[0]}"])
    return made.stdout[-2000:] if made.returncode != 0 else None


def notices(program):
    """Why the program fails; None if it does not."""
    name, argument = program
    path = COPY / "build" / "release" / "tests" / f"runnel_{name}"
    try:
        done = run([str(path), argument], timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"{name}, which does not end"
    if done.returncode < 0:
        return f"{name}, which crashes"
    if done.returncode == 0 and name.startswith("test_") and "test cases: 0 |" in " ".join(done.stdout.split()):
        sys.exit(f"{name} {argument} has no such case")
    return name if done.returncode != 0 else None


@functools.cache
def check_as_it_is(program):
    """A program that fails without a mutant would notice everything."""
    if text := build(program):
        sys.exit(f"{program[0]} does not compile as it is\n{text}")
    if by := notices(program):
        sys.exit(f"fails as it is: {by} {program[1]}")


def try_out(path, what, old, new, programs):
    """By which program the mutant is caught, or what is wrong."""
    file = COPY / path
    text = file.read_text()
    if text.count(old) != 1:
        return f"its place in {path} is not there once, but {text.count(old)} times"
    for program in programs:
        check_as_it_is(program)
        try:
            file.write_text(text.replace(old, new))
            if errors := build(program):
                return "does not compile\n" + errors
            if by := notices(program):
                return f"caught by {by}"
        finally:
            file.write_text(text)
    return "SURVIVED"


def copy_tree():
    """Only what has changed is copied, so that what is built stays of use."""
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()
    wanted = {COPY / path for path in files if (ROOT / path).is_file()}
    for top in {path.split("/")[0] for path in files}:
        for there in (COPY / top).rglob("*") if (COPY / top).is_dir() else []:
            if there.is_file() and there not in wanted:
                there.unlink()
    for path in files:
        here, there = ROOT / path, COPY / path
        if here.is_file() and (not there.is_file() or here.read_bytes() != there.read_bytes()):
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here, there)


def main():
    mutants = [(path, *mutant) for path, of_file in MUTANTS.items() for mutant in of_file]
    if sys.argv[1:] == ["--check"]:
        lost = [(path, what) for path, what, old, *_ in mutants if (ROOT / path).read_text().count(old) != 1]
        for path, what in lost:
            print(f"FAILED: {path}: {what}")
        print(f"{len(mutants) - len(lost)} passed, {len(lost)} failed")
        return 1 if lost else 0
    chosen = [int(a) for a in sys.argv[1:]] or list(range(1, len(mutants) + 1))
    started = time.monotonic()
    COPY.mkdir(parents=True, exist_ok=True)
    copy_tree()
    os.environ["CCACHE_BASEDIR"] = str(COPY)
    os.environ["CCACHE_NOHASHDIR"] = "1"
    run(["cmake", "--preset", "release", "-Wno-dev", "-DRUNNEL_TESTS=ON", "-DRUNNEL_BENCH=OFF", "-DRUNNEL_EXAMPLES=OFF"])

    caught = survived = 0
    for number in chosen:
        why = try_out(*mutants[number - 1])
        print(f"{number}. {mutants[number - 1][1]}: {why}", flush=True)
        caught += why.startswith("caught")
        survived += not why.startswith("caught")
    print(f"torture R20 {caught} of {caught + survived} differences {survived} seed 0 "
          f"seconds {time.monotonic() - started:.1f}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
