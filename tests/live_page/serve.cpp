// serve FOLDER: jobs to look at until the standard input ends, the first with checkpoints in FOLDER. Prints the address
// of their page.
#include <array>
#include <atomic>
#include <boost/describe/class.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/observe/live_page.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/sink/sink.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/source/inlet.hpp"
#include "runnel/source/rate_limited.hpp"
#include "runnel/source/source.hpp"
#include "runnel/window/count.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct click {
    std::uint64_t user;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, at))

timestamp now() { return timestamp(std::chrono::system_clock::now()); }

/// One in a thousand is a minute late.
click make(std::uint64_t i) {
    return {i * 7 % 500, now() - (i % 1000 == 999 ? duration(60s) : static_cast<int>(i % 50) * 1ms)};
}

auto clicks(double per_second) { return rate_limited(generate(unbounded, make), per_second); }

/// Something like a topic of four partitions that others write to, 300 records/s each: of the third no more than half is
/// read, of the last nothing, and why is told.
class made_up_topic final : public source<click> {
public:
    std::string name() const override { return "made-up topic"; }
    std::vector<std::string> splits() override {
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < read_.size(); ++i) ids.push_back(id(i));
        return ids;
    }
    std::unique_ptr<split_reader<click>> open(const std::string& split, const std::string*,
                                              const reader_context& context) override {
        return std::make_unique<reader>(*this, static_cast<std::size_t>(split.back() - '0'), context);
    }
    source_condition condition() const override {
        source_condition c{.trouble = "cannot read shipments/3: no answer from its leader, 127.0.0.1:9. It is asked "
                                      "again and again.", .lag = 0};
        for (std::size_t i = 0; i < read_.size(); ++i) *c.lag += c.lag_by_split[id(i)] = written() - read_[i];
        return c;
    }

private:
    static std::string id(std::size_t i) { return "shipments/" + std::to_string(i); }
    std::uint64_t written() const {
        return static_cast<std::uint64_t>((std::chrono::steady_clock::now() - begun_) / 1ms * 3 / 10);
    }

    struct reader final : split_reader<click> {
        reader(made_up_topic& of, std::size_t number, const reader_context& context)
            : of(of), number(number), context(context) {}
        poll_result poll(batch<click>& into, std::size_t limit) override {
            if (number == 3) return poll_result::wait();
            std::atomic<std::uint64_t>& read = of.read_[number];
            const std::uint64_t goal = of.written() / (number == 2 ? 2 : 1);
            std::size_t n = 0;
            for (; n < limit && read < goal; ++n) into.append_raw(make(read++), {});
            count_bytes(context.bytes, n * sizeof(click));
            return n == limit ? poll_result::more() : poll_result::until(context.clock->now() + 50ms);
        }
        std::string position() const override { return std::to_string(of.read_[number]); }
        made_up_topic& of;
        std::size_t number;
        const reader_context& context;
    };

    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::array<std::atomic<std::uint64_t>, 4> read_{};
};

/// Takes everything, and counts its bytes.
struct made_up_target final : sink<click> {
    std::string name() const override { return "made-up target"; }
    std::unique_ptr<sink_writer<click>> open(const sink_context& context) override {
        return std::make_unique<writer>(context);
    }
    struct writer final : sink_writer<click> {
        explicit writer(const sink_context& context) : context(context) {}
        progress write(batch<click>& records) override {
            count_bytes(context.bytes, records.size() * sizeof(click));
            records.consume_until(records.size());
            return progress::done;
        }
        const sink_context context;
    };
};

}  // namespace

int main(int, char** argv) try {
    pipeline first{"clicks"};
    auto good = first.from(clicks(5000))
                    .named("clicks")
                    .event_time(&click::at, bounded_out_of_orderness(200ms))
                    .map([](click c) {
                        if (c.user == 77) throw std::invalid_argument("user <script>alert(77)</script> is unknown");
                        return c;
                    })
                    .named("<img src=x onerror=alert(1)>")
                    .on_error(on_error::skip);
    good.key_by(&click::user)
        .window(tumbling(1s).drop_late())
        .aggregate(count())
        .named("counts per user")
        .to(null_sink())
        .named("counts out");
    good.key_by(&click::user)
        .reduce([](const click& a, const click&) { return a; })
        .named("first clicks")
        .to(for_each([](const click&) {}))
        .named("clicks out");
    job_options options{.parallelism = 2};
    options.checkpoints = {.folder = argv[1], .interval = 500ms};
    job one = std::move(first).start(options);

    // The second input is silent: event time waits for it.
    inlet<click> quiet;
    pipeline second{"orders"};
    auto b = second.from(quiet).named("returns").event_time(&click::at, monotonous());
    second.from(clicks(1000))
        .named("orders")
        .event_time(&click::at, bounded_out_of_orderness(200ms))
        .merge(b)
        .key_by(&click::user)
        .window(tumbling(1s).drop_late())
        .aggregate(count())
        .named("counts")
        .to(null_sink())
        .named("out");
    job two = std::move(second).start();

    pipeline third{"shipments"};
    third.from(std::make_shared<made_up_topic>()).named("topic").to(std::make_shared<made_up_target>()).named("target");
    job three = std::move(third).start();

    observe::live_page page;
    page.add(one);
    page.add(two);
    page.add(three);
    std::cout << page.url() << std::endl;
    while (std::getchar() != EOF) continue;
    quiet.close();
} catch (const std::exception& e) {
    return std::cerr << "serve: " << e.what() << '\n', 1;
}
