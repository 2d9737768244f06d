// Process functions whose keys are kept in RocksDB, with the default options: the longest pause of the data path per
// checkpoint, how much slower a job gets with one checkpoint a second, and its speed against a loop over the bare
// database that gets and puts each event's key, with the same settings; 8-byte keys, a sum and a timer for each.
//
// See bench/checkpoint.cpp for what a pause is.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/checkpoint.hpp"
#include "runnel/connect/rocksdb.hpp"

namespace {

using namespace bench;

std::shared_ptr<runnel::state_backend> in_rocksdb(const folder& f) { return runnel::rocksdb_state(f.path + "/state"); }

/// As the library opens it.
std::unique_ptr<rocksdb::DB> bare_database(const folder& f) {
    constexpr std::size_t memory = runnel::rocksdb_options().memory;
    rocksdb::Options o;
    o.create_if_missing = true;
    o.write_buffer_size = memory / 8;
    o.max_write_buffer_number = 3;
    o.memtable_whole_key_filtering = true;
    o.memtable_prefix_bloom_size_ratio = 0.05;
    o.max_open_files = 512;
    o.max_background_jobs = 2;
    o.level_compaction_dynamic_level_bytes = true;
    o.avoid_flush_during_shutdown = true;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(memory / 2);
    table.cache_index_and_filter_blocks = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* opened = nullptr;
    if (const auto s = rocksdb::DB::Open(o, f.path + "/bare", &opened); !s.ok()) fail(s.ToString());
    return std::unique_ptr<rocksdb::DB>(opened);
}

/// Seconds for `events` events when each key has come: its sum and its timer are got, changed and put.
double bare_seconds(std::uint64_t keys, std::uint64_t events) {
    folder f;
    const auto db = bare_database(f);
    rocksdb::WriteOptions how;
    how.disableWAL = true;
    std::string found;
    const auto take = [&](std::uint64_t key) {
        std::int64_t held[2] = {0, 1};
        const rocksdb::Slice name(reinterpret_cast<const char*>(&key), sizeof key);
        const rocksdb::Status s = db->Get({}, name, &found);
        if (s.ok()) std::memcpy(held, found.data(), sizeof held);
        ++held[0];
        if (!db->Put(how, name, {reinterpret_cast<const char*>(held), sizeof held}).ok()) fail("cannot put");
    };
    for (std::uint64_t i = 0; i < 2 * keys; ++i) take(i < keys ? i : splitmix64(i) % keys);
    return seconds_of([&] {
        for (std::uint64_t i = 2 * keys; i < 2 * keys + events; ++i) take(splitmix64(i) % keys);
    });
}

double against_bare(std::uint64_t keys, std::uint64_t events, std::string& note) {
    std::vector<double> ours, bare;
    for (int round = 0; round < 3; ++round) {
        folder f;
        runnel::job_options options;
        options.state = in_rocksdb(f);
        ours.push_back(seconds_for(process_program, options, keys, events));
        bare.push_back(bare_seconds(keys, events));
    }
    const auto n = static_cast<double>(events);
    note = "runnel " + million_per_second(n, median(ours)) + ", bare database " + million_per_second(n, median(bare));
    return median(bare) / median(ours);
}

}  // namespace

int main(int argc, char** argv) {
    struct {
        const char* name;
        std::uint64_t keys, events;
        double pause_floor_ms, pause_goal_ms;
        int checkpoints;
    } const sizes[] = {{"10k", 10'000, 20'000'000, 2, 0.5, 30}, {"1M", 1'000'000, 2'000'000, 20, 3, 8}};
    for (const auto& s : sizes) {
        // Unless it is named, the larger one is left out: it takes minutes.
        const auto is_named = [&](const char* a) { return a == std::string(s.name); };
        if (argc > 1 ? std::none_of(argv + 1, argv + argc, is_named) : &s != sizes) continue;
        const std::string name = s.name;
        const double pause = pause_ms(process_program, in_rocksdb, s.keys, s.checkpoints);
        print_ratio("checkpoint_pause_rocksdb_" + name, s.pause_floor_ms / pause, 1,
                    s.pause_floor_ms / s.pause_goal_ms, std::to_string(pause) + " ms");
        print_ratio("checkpoint_throughput_rocksdb_" + name,
                    throughput(process_program, in_rocksdb, s.keys, s.events), 0.8, 0.95,
                    "with one a second, of without");
        std::string note;
        const double speed = against_bare(s.keys, s.events, note);
        print_ratio("rocksdb_" + name, speed, 0.4, 0.7, note);
    }
}
