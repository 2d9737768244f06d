#include "runnel/core/options.hpp"

#include <doctest/doctest.h>

using namespace runnel;
using namespace std::chrono_literals;

TEST_CASE("defaults: one chain of calls, batches of some hundred records, channels that fit the budget") {
    const job_options o;
    CHECK(o.parallelism == 1);
    CHECK(o.threads == 0);
    CHECK((o.batch_size >= 256 && o.batch_size <= 1024));
    CHECK(o.channel_capacity >= 1);
    CHECK(o.flush_interval > 0ms);
    CHECK(o.key_groups == 128);
    CHECK(o.executor == nullptr);
    CHECK(o.clock == nullptr);
    CHECK(o.batch_size * o.channel_capacity * 100 < o.memory_budget);
}

TEST_CASE("options are an aggregate for designated initialisers") {
    const job_options o{.parallelism = 4, .batch_size = 7, .flush_interval = 1s};
    CHECK(o.parallelism == 4);
    CHECK(o.batch_size == 7);
    CHECK(o.flush_interval == 1s);
    CHECK(o.key_groups == 128);
}
