// async_map with 10,000 records in flight, against a loop by hand over the same calls: a thread answers questions in
// the order in which they come, a bounded window of them is open, and results are taken in order.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "bench/support.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"

namespace {

constexpr std::size_t records = 1'000'000;
constexpr std::size_t in_flight = 10'000;

/// An outside system: a thread that takes all questions that have come and answers them one by one.
template <class Done>
class answering {
public:
    answering() : thread_([this] { run(); }) {}
    ~answering() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        asked_.notify_one();
        thread_.join();
    }
    void ask(std::uint64_t value, Done done) {
        bool first = false;
        {
            const std::lock_guard lock(mutex_);
            first = open_.empty();
            open_.emplace_back(value, std::move(done));
        }
        if (first) asked_.notify_one();
    }

private:
    void run() {
        std::vector<std::pair<std::uint64_t, Done>> taken;
        for (;;) {
            {
                std::unique_lock lock(mutex_);
                asked_.wait(lock, [&] { return ended_ || !open_.empty(); });
                if (open_.empty()) return;
                taken.swap(open_);
            }
            for (auto& [value, done] : taken) done(bench::splitmix64(value));
            taken.clear();
        }
    }

    std::mutex mutex_;
    std::condition_variable asked_;
    std::vector<std::pair<std::uint64_t, Done>> open_;  // under mutex_
    bool ended_ = false;                                // under mutex_
    std::thread thread_;
};

using values = std::shared_ptr<const std::vector<std::uint64_t>>;

std::uint64_t with_runnel(const values& all, bool ordered) {
    std::uint64_t checksum = 0;
    answering<runnel::completion<std::uint64_t>> service;
    runnel::pipeline p{"async"};
    p.from(runnel::collection(all))
        .async_map(
            [&](const std::uint64_t& x, runnel::completion<std::uint64_t> done) { service.ask(x, std::move(done)); },
                   {.capacity = in_flight, .ordered = ordered})
        .to(runnel::for_each([&](const std::uint64_t& r) { checksum += r; }));
    std::move(p).start().wait();
    return checksum;
}

/// What is shared with the answering thread: a flag and a result for each question, and one who waits.
struct by_hand {
    struct question {
        std::uint64_t answer = 0;
        bool is_answered = false;  // under mutex
    };
    std::mutex mutex;
    std::condition_variable answered;
    bool waits = false;  // under mutex

    struct done {
        by_hand* home;
        std::shared_ptr<question> of;
        void operator()(std::uint64_t answer) {
            of->answer = answer;
            bool wakes = false;
            {
                const std::lock_guard lock(home->mutex);
                of->is_answered = true;
                wakes = std::exchange(home->waits, false);
            }
            if (wakes) home->answered.notify_one();
        }
    };

    std::uint64_t run(const values& all) {
        std::uint64_t checksum = 0;
        answering<done> service;
        std::deque<std::shared_ptr<question>> open;
        auto take = [&](std::size_t until) {
            while (open.size() > until) {
                std::size_t ready = 0;
                {
                    std::unique_lock lock(mutex);
                    while (!open.front()->is_answered) {
                        waits = true;
                        answered.wait(lock);
                    }
                    while (ready < open.size() && open[ready]->is_answered) ++ready;
                }
                for (; ready != 0; --ready) {
                    checksum += open.front()->answer;
                    open.pop_front();
                }
            }
        };
        for (const std::uint64_t x : *all) {
            take(in_flight - 1);
            open.push_back(std::make_shared<question>());
            service.ask(x, done{this, open.back()});
        }
        take(0);
        return checksum;
    }
};

}  // namespace

int main() {
    auto made = std::make_shared<std::vector<std::uint64_t>>(records);
    for (std::size_t i = 0; i < records; ++i) (*made)[i] = i;
    const values all = made;
    auto twin = [&] { return by_hand{}.run(all); };
    bench::ratio("async_10k_ordered", 0.4, 0.7, records, [&] { return with_runnel(all, true); },
                 {{"by hand", twin, {}}}, 5);
    bench::ratio("async_10k_unordered", 0.4, 0.7, records, [&] { return with_runnel(all, false); },
                 {{"by hand", twin, {}}}, 5);
}
