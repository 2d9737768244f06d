// Checkpoints as earlier releases wrote them: each release's stay in the tree, tests/checkpoint/releases/VERSION.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/testing/memory_file_system.hpp"

using namespace runnel;

namespace {

/// What the releases were given to write, as checkpoint 1 or 2; `counted`: with the number of keys.
checkpoint of_releases(checkpoint_id id, bool counted) {
    checkpoint c{id, "clicks", 128, timestamp(1'700'000'000'000'000'000), false, {}, {{"finished", "a.jsonl"}}};
    c.operators.push_back({"clicks", "source", 1, {}});
    c.operators[0].state.local["positions"] = {"b.jsonl 1234", ""};
    c.operators.push_back({"count", "window", 4, {}});
    c.operators[1].state.keyed["sums"] = {{0, std::string("\0\1\2", 3)}, {77, "seventy-seven"}, {127, ""}};
    c.operators[1].state.local["watermark"] = {"w"};
    if (counted) c.operators[1].state.keys["sums"] = 12;
    if (id == 2) {
        c.taken = timestamp(-1);
        c.operators[1].state.keyed["sums"][0] = "changed";
        c.operators[1].parallelism = 3;
    }
    return c;
}

std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("the checkpoints of every release are read") {
    for (const std::string release : {"0.1", "0.2"})
        for (const checkpoint_id id : {1, 2})
            CHECK(read_checkpoint(default_file_system(), "tests/checkpoint/releases/" + release, id) ==
                  of_releases(id, release != "0.1"));
}

TEST_CASE("the format is still the one of 0.2") {
    testing::memory_file_system fs;
    checkpoint_store store(fs, "/a");
    store.write(of_releases(1, true));
    store.write(of_releases(2, true));
    for (const std::string name : {"manifest-1", "manifest-2", "data-1", "data-2"}) {
        CAPTURE(name);
        CHECK(fs.get("/a/" + name) == bytes_of("tests/checkpoint/releases/0.2/" + name));
    }
}
