#include "runnel/testing/grid.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "runnel/operators/reduce.hpp"

using namespace runnel;
using namespace runnel::testing;
using namespace std::chrono_literals;

namespace {

struct item {
    int key;
    int amount;
    friend bool operator==(const item&, const item&) = default;
    friend std::ostream& operator<<(std::ostream& out, const item& i) { return out << i.key << ':' << i.amount; }
};

/// Adds up amounts by key, emits each new total, and all totals when event time advances. Has faults on demand.
enum class fault {
    none,
    saves_nothing,
    misses_a_key,
    forgets_to_load,
    ignores_refusal,
    emits_twice_after_refusal,
    loses_the_rest_after_refusal,
    depends_on_batch,
    trusts_bounds,
    ignores_cursor,
    shares_state_between_copies,
    saves_outside_its_groups,
    saves_in_one_group,
    late_depends_on_batch,
    counts_late_twice_after_restore,
    blocks_for_no_reason,
    order_depends_on_batch,
    throws_in_large_batches,
};

class totals {
public:
    using input_type = item;
    using output_type = item;

    explicit totals(fault f) : fault_(f) {}

    void open(const operator_context& context) { context_ = context; }

    progress process(batch<item>& in, output<item>& out) {
        if (fault_ == fault::depends_on_batch && in.size() > 5) total_of(0) += 1;
        if (fault_ == fault::throws_in_large_batches && in.size() > 25) throw std::runtime_error("too many");
        if (fault_ == fault::ignores_cursor && in.cursor() != 0 && !started_) in.consume_until(0);
        started_ = true;
        if (fault_ == fault::order_depends_on_batch && in.remaining() > 1 && in.size() == 7)
            std::swap(in.value(in.cursor()), in.value(in.cursor() + 1));
        for (std::size_t i = in.cursor(); i < in.size(); ++i) {
            in.consume_until(i);
            if (fault_ != fault::ignores_refusal && !out.ready())
                return fault_ == fault::loses_the_rest_after_refusal ? progress::done : progress::blocked;
            const timestamp judged = fault_ == fault::trusts_bounds ? in.min_time() : in.time(i);
            if (fault_ == fault::late_depends_on_batch ? in.min_time() <= watermark_ && in.size() == 1
                                                       : judged <= watermark_) {
                context_.metrics->late_dropped.add(1);
                continue;
            }
            const item record = in.take(i);
            out.emit({record.key, total_of(record.key) += record.amount}, in.time(i));
            if (fault_ == fault::emits_twice_after_refusal && !out.ready()) return progress::blocked;
        }
        started_ = false;
        if (fault_ == fault::blocks_for_no_reason && in.size() == 7) return progress::blocked;
        return progress::done;
    }

    progress advance(timestamp w, output<item>& out) {
        for (auto it = state().lower_bound(next_); it != state().end(); ++it) {
            if (fault_ != fault::ignores_refusal && !out.ready()) {
                next_ = it->first;
                return progress::blocked;
            }
            out.emit({it->first, it->second}, w);
        }
        next_ = 0;
        watermark_ = w;
        return progress::done;
    }

    void save(snapshot_writer& to) const {
        codec<std::int64_t>::encode(watermark_.ns(), to.local("watermark"));
        if (fault_ == fault::saves_nothing) return;
        bool first = true;
        for (const auto& [key, total] : state()) {
            if (fault_ == fault::misses_a_key && std::exchange(first, false)) continue;
            key_group g = key_group_of(key, context_.key_groups);
            if (fault_ == fault::saves_outside_its_groups) g = static_cast<key_group>((g + 64) % 128);
            if (fault_ == fault::saves_in_one_group) g = context_.mine.first;
            std::string& bytes = to.keyed("totals", g);
            codec<int>::encode(key, bytes);
            codec<int>::encode(total, bytes);
        }
    }
    void load(snapshot_reader& from) {
        if (fault_ == fault::forgets_to_load) return;
        watermark_ = timestamp::max();
        from.local("watermark", [&](std::string_view bytes) {
            byte_reader in(bytes);
            watermark_ = std::min(watermark_, timestamp(codec<std::int64_t>::decode(in)));
        });
        if (fault_ == fault::counts_late_twice_after_restore) context_.metrics->late_dropped.add(1);
        from.keyed("totals", [&](key_group, std::string_view bytes) {
            for (byte_reader in(bytes); !in.empty();) {
                const int key = codec<int>::decode(in);
                state()[key] = codec<int>::decode(in);
            }
        });
    }

private:
    std::map<int, int>& state() { return fault_ == fault::shares_state_between_copies ? *shared_ : own_; }
    const std::map<int, int>& state() const {
        return fault_ == fault::shares_state_between_copies ? *shared_ : own_;
    }
    int& total_of(int key) { return state()[key]; }

    fault fault_;
    operator_context context_;
    std::map<int, int> own_;
    std::shared_ptr<std::map<int, int>> shared_ = std::make_shared<std::map<int, int>>();
    timestamp watermark_ = timestamp::min();
    int next_ = 0;
    bool started_ = false;
};

script<item> input(std::uint64_t seed) {
    return random_script<item>(seed, [](auto& random) {
        return item{static_cast<int>(random() % 10), static_cast<int>(random() % 100)};
    });
}

grid_options<item, item> options() {
    return {.group_of = group_by(&item::key), .result_key = order_by(&item::key)};
}

/// The report of the grid on an operator that has a fault.
std::string report_on(fault f, std::uint64_t seed = 1) {
    try {
        run_grid(totals(f), input(seed), options());
    } catch (const grid_difference& d) {
        return d.what();
    }
    return "";
}

}  // namespace

TEST_CASE("an operator without a fault passes the grid, in dozens of ways") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        CAPTURE(seed);
        CHECK(run_grid(totals(fault::none), input(seed), options()) >= 50);
    }
}

TEST_CASE("every fault of an operator is caught, and the report says what is wrong") {
    struct expectation {
        fault what;
        const char* way;
        const char* text;
    };
    for (const expectation& e : {
             expectation{fault::saves_nothing, "snapshot_every=1", "missing"},
             {fault::misses_a_key, "snapshot_every=1", "missing"},
             {fault::forgets_to_load, "snapshot_every=1", "missing"},
             {fault::ignores_refusal, "output_batch", "ask its output whether it is ready()"},
             {fault::emits_twice_after_refusal, "seed=", "unexpected"},
             {fault::loses_the_rest_after_refusal, "seed=", "missing"},
             {fault::depends_on_batch, "batch=7", "unexpected"},
             {fault::trusts_bounds, "batch=7", "missing"},
             {fault::ignores_cursor, "seed=", "unexpected"},
             {fault::shares_state_between_copies, "", "unexpected"},
             {fault::saves_outside_its_groups, "to=2", "missing"},
             {fault::saves_in_one_group, "to=2", "missing"},
             {fault::late_depends_on_batch, "batch=7", ""},
             {fault::counts_late_twice_after_restore, "snapshot_every=1", "number of late records"},
             {fault::blocks_for_no_reason, "batch=7", "though none of its outputs had refused"},
             {fault::order_depends_on_batch, "batch=7", "as number"},
             {fault::throws_in_large_batches, "batch=256", "too many"},
         }) {
        for (std::uint64_t seed = 1; seed <= 5; ++seed) {
            const std::string report = report_on(e.what, seed);
            CAPTURE(static_cast<int>(e.what));
            CAPTURE(seed);
            CAPTURE(report);
            CHECK(report.find(e.way) != std::string::npos);
            CHECK(report.find(e.text) != std::string::npos);
            CHECK(report.find("\n  to repeat: run_grid(..., {.only = \"") != std::string::npos);
        }
    }
}

TEST_CASE("the text of a report's way brings the same difference again, alone") {
    try {
        run_grid(totals(fault::emits_twice_after_refusal), input(3), options());
        FAIL("not caught");
    } catch (const grid_difference& d) {
        auto again = options();
        again.only = d.way().text();
        CHECK_THROWS_WITH_AS(run_grid(totals(fault::emits_twice_after_refusal), input(3), again), d.what(),
                             grid_difference);
        CHECK(run_grid(totals(fault::none), input(3), again) == 2);
    }
}

TEST_CASE("subtasks saved at different watermarks are told apart only by operators that keep them by key group") {
    auto o = options();
    o.uneven_watermarks = true;
    try {
        run_grid(totals(fault::none), input(1), o);
        FAIL("not caught");
    } catch (const grid_difference& d) {
        CHECK(d.way().uneven);
    }
}

TEST_CASE("a way is the same after its text has been read, and other texts are refused") {
    const grid_way way{.batch = 7,
                       .output_batch = 2,
                       .seed = 3,
                       .snapshot_every = 4,
                       .from = 2,
                       .to = 3,
                       .rescale_at = 55,
                       .uneven = true};
    CHECK(way.text() == "batch=7 output_batch=2 seed=3 snapshot_every=4 from=2 to=3 rescale_at=55 uneven=1");
    CHECK(grid_way::parse(way.text()).text() == way.text());
    CHECK(grid_way().text() == "");
    CHECK(grid_way::parse("").text() == "");
    for (const std::string bad :
         {"batch", "batch=", "batch=x", "batch=7 colour=3", "batch=-1", "output_batch=0", "to=0", " "}) {
        const std::string text = '"' + bad + "\" is not a way through the grid. Copy the text from the report.";
        CHECK_THROWS_WITH_AS(grid_way::parse(bad), text.c_str(), error);
    }
}

TEST_CASE("a script may be empty, consist of signals only, or have no end") {
    CHECK(run_grid(totals(fault::none), script<item>(), options()) > 1);
    CHECK(run_grid(totals(fault::none), script<item>().end(), options()) > 1);
    CHECK(run_grid(totals(fault::none), script<item>().idle().active().watermark(timestamp(5)), options()) > 1);
    CHECK(run_grid(totals(fault::none), script<item>().record({1, 2}, timestamp(5)), options()) > 1);
}
