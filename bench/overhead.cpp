// What metrics, watermarks, barrier checks and the rest of the runtime cost: a keyed tumbling window as a job, against
// the same window operator driven by a loop that hands it batches, one watermark per window, and nothing else.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/support.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/operators/operator_stage.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/window_operator.hpp"

namespace {

using namespace std::chrono_literals;

struct event {
    std::uint64_t key;
    std::int32_t value;
    std::uint32_t ms;
};
using events = std::shared_ptr<const std::vector<event>>;

constexpr std::int64_t window_ms = 10'000;

runnel::timestamp time_of(const event& e) { return runnel::timestamp(std::int64_t{e.ms} * 1'000'000); }

template <class Result>
std::uint64_t digest(const Result& r) {
    return bench::h(r.key, static_cast<std::uint64_t>(r.end.ns()), std::get<0>(r.value),
                    static_cast<std::uint64_t>(std::get<1>(r.value)));
}

auto spec() { return runnel::tumbling(std::chrono::milliseconds(window_ms)).drop_late(); }
auto totals() { return runnel::combine(runnel::count(), runnel::sum(&event::value)); }

std::uint64_t whole_job(const events& all) {
    std::uint64_t sum = 0;
    runnel::pipeline p{"overhead"};
    p.from(runnel::collection(all))
        .event_time([](const event& e) { return time_of(e); }, runnel::monotonous())
        .key_by(&event::key)
        .window(spec())
        .aggregate(totals())
        .to(runnel::for_each([&sum](const auto& r) { sum += digest(r); }));
    std::move(p).start().wait();
    return sum;
}

template <class Result>
struct summing final : runnel::receiver<Result> {
    std::uint64_t sum = 0;
    runnel::progress on_batch(runnel::batch<Result>& results) override {
        for (std::size_t i = results.cursor(); i < results.size(); ++i) sum += digest(results.value(i));
        results.consume_until(results.size());
        return runnel::progress::done;
    }
    runnel::progress on_watermark(runnel::timestamp) override { return runnel::progress::done; }
    runnel::progress on_activity(runnel::activity) override { return runnel::progress::done; }
    runnel::progress on_barrier(runnel::checkpoint_id) override { return runnel::progress::done; }
    runnel::progress flush() override { return runnel::progress::done; }
};

std::uint64_t operator_alone(const events& all) {
    const auto key_of = [](const event& e) { return e.key; };
    auto op = runnel::make_window_operator<std::uint64_t, event>(key_of, spec(), totals());
    using op_type = decltype(op);
    summing<op_type::output_type> to;
    runnel::operator_stage<op_type> stage(std::move(op));
    stage.connect(0, to, 512);
    stage.open({});  // No metrics.
    runnel::receiver_base& into = stage.input(0);

    runnel::batch<event> batch(512);
    std::int64_t end = window_ms;
    for (std::size_t i = 0; i < all->size();) {
        const event* first = all->data() + i;
        const std::size_t n = std::min<std::size_t>(512, all->size() - i);
        batch.borrow(first, n);
        for (std::size_t k = 0; k < n; ++k) batch.times()[k] = time_of(first[k]);
        batch.widen(batch.time(0), batch.time(n - 1));
        into.on_any_batch(batch);
        if (first[n - 1].ms >= end) {
            into.on_watermark(batch.time(n - 1).previous());
            end += window_ms;
        }
        batch.clear();
        i += n;
    }
    into.on_watermark(runnel::timestamp::max());
    return to.sum;
}

}  // namespace

int main() {
    constexpr std::size_t n = 20'000'000;
    auto made = std::make_shared<std::vector<event>>(n);
    for (std::size_t i = 0; i < n; ++i)
        (*made)[i] = {bench::splitmix64(i) % 1000, static_cast<std::int32_t>(i & 1023),
                      static_cast<std::uint32_t>(i / 1000)};
    const events all = made;
    bench::ratio("runtime_overhead", 0.9, 0.97, n, [&] { return whole_job(all); },
                 {{"operator alone", [&] { return operator_alone(all); }, {}}}, 11);
}
