#include "runnel/runtime/parking.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

using runnel::parking;

TEST_CASE("not more workers search than the limit allows") {
    parking<> place;
    CHECK(place.try_search(2));
    CHECK(place.try_search(2));
    CHECK_FALSE(place.try_search(2));
    place.end_search();
    CHECK(place.try_search(2));
}

TEST_CASE("a notification wakes nobody while somebody searches") {
    parking<> place;
    CHECK(place.try_search(1));
    place.prepare_wait(false);  // another worker
    place.notify_one();
    CHECK(place.anyone_parked());
    place.end_search();
    place.notify_one();
    CHECK_FALSE(place.anyone_parked());
    place.commit_wait();  // returns at once: the wake-up came before
    CHECK_FALSE(place.try_search(1));  // for who was woken is a searcher
}

TEST_CASE("a wait that is cancelled leaves nothing behind, woken or not") {
    parking<> place;
    place.prepare_wait(false);
    CHECK(place.anyone_parked());
    place.cancel_wait();
    CHECK_FALSE(place.anyone_parked());

    place.prepare_wait(false);
    place.notify_one();
    place.cancel_wait();
    CHECK_FALSE(place.anyone_parked());
    CHECK(place.try_search(1));
}

TEST_CASE("preparing to wait ends a search") {
    parking<> place;
    CHECK(place.try_search(1));
    place.prepare_wait(true);
    CHECK(place.try_search(1));
    place.prepare_wait(true);
    place.notify_all();
    CHECK_FALSE(place.anyone_parked());
    place.commit_wait();
    place.commit_wait();
}

TEST_CASE("notify_all wakes all sleepers") {
    constexpr int n = 5;
    parking<> place;
    std::atomic<int> prepared = 0;
    std::vector<std::thread> sleepers;
    for (int i = 0; i < n; ++i)
        sleepers.emplace_back([&] {
            place.prepare_wait(false);
            ++prepared;
            place.commit_wait();
        });
    while (prepared < n) std::this_thread::yield();
    place.notify_all();
    for (auto& s : sleepers) s.join();
    CHECK_FALSE(place.anyone_parked());
}

TEST_CASE("nobody sleeps on work: tokens are all taken, whoever adds them and however often all are asleep") {
    for (int workers : {1, 2, 4}) {
        CAPTURE(workers);
        constexpr std::int64_t total = 40'000;
        parking<> place;
        std::atomic<std::int64_t> tokens = 0;
        std::atomic<std::int64_t> taken = 0;
        std::atomic<bool> stopping = false;
        const auto take = [&] {
            std::int64_t now = tokens.load();
            while (now > 0)
                if (tokens.compare_exchange_weak(now, now - 1)) return true;
            return false;
        };
        const auto find = [&] {
            bool searching = place.try_search(1);
            for (;;) {
                if (searching && take()) {
                    place.end_search();
                    break;
                }
                place.prepare_wait(searching);
                if (take()) {
                    place.cancel_wait();
                    break;
                }
                if (stopping) {
                    place.cancel_wait();
                    place.notify_all();
                    return false;
                }
                place.commit_wait();
                searching = true;
            }
            if (tokens > 0) place.notify_one();
            return true;
        };
        std::vector<std::thread> threads;
        for (int i = 0; i < workers; ++i)
            threads.emplace_back([&] {
                while (find()) ++taken;
            });
        for (std::int64_t i = 0; i < total; ++i) {
            ++tokens;
            place.notify_one();
            if (i % 4 == 0)  // let them fall asleep now and then
                while (taken < i) std::this_thread::yield();
        }
        while (taken < total) std::this_thread::yield();
        stopping = true;
        place.notify_all();
        for (auto& t : threads) t.join();
        CHECK(taken == total);
    }
}
