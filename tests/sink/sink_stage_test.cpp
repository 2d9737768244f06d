#include "runnel/sink/sink_stage.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/print.hpp"

using namespace runnel;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

/// Writes down what its writer is asked, takes as many records a call as it is told, and throws where it is told.
class noting_sink final : public sink<int> {
public:
    std::vector<std::string> calls;
    std::vector<int> taken;
    std::size_t room = 1000;
    int refuse_finish = 0, refuse_settle = 0;
    std::string throw_in;
    bool swap_away = false;
    sink_context context;

    std::string name() const override { return "noting"; }
    std::unique_ptr<sink_writer<int>> open(const sink_context& c) override {
        if (throw_in == "open") throw io_error("no such table", 2);
        context = c;
        return std::make_unique<writer>(*this);
    }

private:
    struct writer final : sink_writer<int> {
        noting_sink& s;
        explicit writer(noting_sink& to) : s(to) {}
        void check(const std::string& call) {
            s.calls.push_back(call);
            if (s.throw_in == call) throw std::runtime_error("disk full");
        }
        progress write(batch<int>& records) override {
            std::size_t i = records.cursor();
            for (; i < records.size() && s.room != 0; ++i, --s.room) {
                records.consume_until(i);
                if (s.throw_in == "write " + std::to_string(records.value(i))) throw std::runtime_error("disk full");
                s.taken.push_back(records.value(i));
            }
            records.consume_until(i);
            if (!records.empty()) return progress::blocked;
            if (s.swap_away) {
                batch<int> mine;
                mine.swap(records);
            }
            return progress::done;
        }
        progress flush() override {
            check("flush");
            return progress::done;
        }
        progress settle() override {
            if (s.refuse_settle-- > 0) return progress::blocked;
            check("settle");
            return flush();
        }
        void on_watermark(timestamp w) override { check("watermark " + std::to_string(w.ns())); }
        progress finish() override {
            if (s.refuse_finish-- > 0) return progress::blocked;
            check("finish");
            return progress::done;
        }
    };
};

struct driven {
    std::shared_ptr<noting_sink> to = std::make_shared<noting_sink>();
    operator_metrics metrics;
    int wakes = 0;
    sink_stage stage{to, [this] { ++wakes; }};

    driven& open() {
        operator_context context;
        context.name = "table";
        context.subtask = 2;
        context.parallelism = 4;
        context.metrics = &metrics;
        stage.open(context);
        return *this;
    }
    receiver_base& in() { return stage.input(0); }
};

batch<int> numbers(int n) {
    batch<int> b;
    for (int i = 0; i < n; ++i) b.append(i, at(100 + i));
    return b;
}

template <class F>
void check_place(F f, timestamp t) {
    try {
        f();
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "table");
        CHECK(e.subtask() == 2);
        CHECK(e.record_time() == t);
        CHECK_THROWS_AS(std::rethrow_if_nested(e), std::runtime_error);
    }
}

}  // namespace

TEST_CASE("a writer learns its subtask and can have itself called again") {
    driven d;
    d.open();
    CHECK(d.to->context.subtask == 2);
    CHECK(d.to->context.parallelism == 4);
    d.to->context.wake();
    CHECK(d.wakes == 1);
    CHECK(d.stage.outputs() == 0);
}

TEST_CASE("what a writer has no room for stays, and each record counts once") {
    driven d;
    d.open();
    auto b = numbers(5);
    d.to->room = 2;
    CHECK(d.in().on_any_batch(b) == progress::blocked);
    CHECK(b.cursor() == 2);
    CHECK(d.metrics.records_in.get() == 2);
    CHECK(d.in().on_any_batch(b) == progress::blocked);
    CHECK(d.metrics.records_in.get() == 2);
    d.to->room = 100;
    CHECK(d.in().on_any_batch(b) == progress::done);
    CHECK(b.empty());
    CHECK(d.to->taken == std::vector<int>{0, 1, 2, 3, 4});
    CHECK(d.metrics.records_in.get() == 5);
}

TEST_CASE("a writer may keep the columns; its records are counted all the same") {
    driven d;
    d.open();
    d.to->swap_away = true;
    auto b = numbers(5);
    CHECK(d.in().on_any_batch(b) == progress::done);
    CHECK(d.metrics.records_in.get() == 5);
    auto c = numbers(5);
    c.consume_until(3);
    CHECK(d.in().on_any_batch(c) == progress::done);
    CHECK(d.metrics.records_in.get() == 7);
}

TEST_CASE("watermarks reach the writer, and the end is finish, repeated while it is refused") {
    driven d;
    d.open();
    CHECK(d.in().on_watermark(at(5)) == progress::done);
    CHECK(d.metrics.watermark.get() == 5);
    CHECK(d.in().flush() == progress::done);
    d.to->refuse_settle = 1;
    CHECK(d.in().on_barrier(1) == progress::blocked);
    CHECK(d.in().on_barrier(1) == progress::done);
    CHECK(d.in().on_activity(activity::idle) == progress::done);
    d.to->refuse_finish = 2;
    CHECK(d.in().on_watermark(timestamp::max()) == progress::blocked);
    CHECK(d.metrics.watermark.get() == 5);
    CHECK(d.in().on_watermark(timestamp::max()) == progress::blocked);
    CHECK(d.in().on_watermark(timestamp::max()) == progress::done);
    // Behind a barrier, what came before it has arrived.
    CHECK(d.to->calls == std::vector<std::string>{"watermark 5", "flush", "settle", "flush", "finish"});
    CHECK(d.metrics.watermark.get() == timestamp::max().ns());
}

TEST_CASE("a sink that throws is named, with subtask and record time, and the cause is nested") {
    driven d;
    SUBCASE("when it is opened") {
        d.to->throw_in = "open";
        check_place([&] { d.open(); }, timestamp::min());
    }
    SUBCASE("at a record") {
        d.open();
        d.to->throw_in = "write 3";
        check_place(
            [&] {
                auto b = numbers(5);
                (void)d.in().on_any_batch(b);
            },
            at(103));
        CHECK(d.to->taken == std::vector<int>{0, 1, 2});
    }
    SUBCASE("at a flush") {
        d.open();
        d.to->throw_in = "flush";
        check_place([&] { (void)d.in().flush(); }, timestamp::min());
    }
    SUBCASE("at a watermark") {
        d.open();
        d.to->throw_in = "watermark 7";
        check_place([&] { (void)d.in().on_watermark(at(7)); }, at(7));
    }
    SUBCASE("at the end") {
        d.open();
        d.to->throw_in = "finish";
        check_place([&] { (void)d.in().on_watermark(timestamp::max()); }, timestamp::min());
    }
}

TEST_CASE("what a sink does without: flush and watermarks need not be written") {
    struct least final : sink<int> {
        std::string name() const override { return "least"; }
        std::unique_ptr<sink_writer<int>> open(const sink_context&) override {
            struct w final : sink_writer<int> {
                progress write(batch<int>&) override { return progress::done; }
            };
            return std::make_unique<w>();
        }
    };
    sink_stage stage(std::make_shared<least>(), {});
    stage.open({});
    auto b = numbers(3);
    CHECK(stage.input(0).on_any_batch(b) == progress::done);
    CHECK(b.empty());
    CHECK(stage.input(0).flush() == progress::done);
    CHECK(stage.input(0).on_watermark(at(1)) == progress::done);
    CHECK(stage.input(0).on_watermark(timestamp::max()) == progress::done);
    CHECK(least{}.max_parallelism() == 1);
}
