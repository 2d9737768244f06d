#include "runnel/operators/async.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace runnel;
using detail::async_inbox;
using detail::async_request;

namespace {

/// A record that is being asked, without the operator.
template <class R>
struct asked {
    int wakes = 0;
    std::shared_ptr<async_inbox<R>> inbox = std::make_shared<async_inbox<R>>([this] { ++wakes; });
    std::shared_ptr<async_request<R>> request = std::make_shared<async_request<R>>(inbox);

    completion<R> ask(std::uint32_t attempt = 1) {
        request->open.store(attempt);
        return completion<R>(request, attempt);
    }
    std::string answer() {
        const auto answered = inbox->take();
        if (!answered) return "none";
        if (answered->value) return *answered->value;
        if (!answered->failure) return "dropped";
        try {
            std::rethrow_exception(answered->failure);
        } catch (const std::exception& e) {
            return "failed: " + std::string(e.what());
        }
    }
};

std::exception_ptr failure() { return std::make_exception_ptr(std::runtime_error("no route")); }

/// Cannot be moved when it is told so.
struct stubborn {
    bool throws = false;
    stubborn() = default;
    explicit stubborn(bool t) : throws(t) {}
    stubborn(stubborn&& other) : throws(other.throws) {
        if (throws && ++moves == 2) throw std::runtime_error("stays where it is");
    }
    static inline int moves = 0;
};

struct taker {
    void operator()(const int&, completion<std::string>) const noexcept {}
};

}  // namespace

TEST_CASE("a completion is called with a value, an exception, or both as coroutines do") {
    asked<std::string> a;
    a.ask()("yes");
    CHECK(a.answer() == "yes");
    a.request->value.reset();
    a.ask(2)(failure());
    CHECK(a.answer() == "failed: no route");
    a.request->failure = nullptr;
    a.ask(3)(nullptr, "by coroutine");
    CHECK(a.answer() == "by coroutine");
    a.request->value.reset();
    a.ask(4)(failure(), "");
    CHECK(a.answer() == "failed: no route");
    CHECK(a.wakes == 4);
}

TEST_CASE("only the first call of a completion counts") {
    asked<std::string> a;
    auto done = a.ask();
    done("first");
    done("second");
    done(failure());
    CHECK(a.answer() == "first");
    CHECK(a.answer() == "none");
    CHECK(a.wakes == 1);
}

TEST_CASE("a completion that goes without a call says so; one that was moved from does not") {
    asked<std::string> a;
    {
        auto first = a.ask();
        auto second = std::move(first);
        CHECK(a.answer() == "none");
        second = std::move(second);
        CHECK(a.answer() == "none");
    }
    CHECK(a.answer() == "dropped");
    asked<std::string> b;
    auto kept = a.ask(2);
    kept = b.ask();
    CHECK(a.answer() == "dropped");
    kept("b");
    CHECK(b.answer() == "b");
    auto moved = std::move(kept);
    kept("nobody listens");
}

TEST_CASE("a completion of an attempt that was given up is ignored") {
    asked<std::string> a;
    auto late = a.ask(1);
    CHECK(a.request->claim(1));
    CHECK_FALSE(a.request->claim(1));
    auto in_time = a.ask(2);
    late("too late");
    CHECK(a.answer() == "none");
    in_time("in time");
    CHECK(a.answer() == "in time");
}

TEST_CASE("a value that cannot be moved is a failure, not silence") {
    stubborn::moves = 0;
    auto inbox = std::make_shared<async_inbox<stubborn>>(nullptr);
    auto request = std::make_shared<async_request<stubborn>>(inbox);
    request->open.store(1);
    completion<stubborn> done(request, 1);
    stubborn value(true);
    stubborn::moves = -1;
    done(std::move(value));  // Into the parameter, and from there.
    const auto answered = inbox->take();
    REQUIRE(answered);
    stubborn::moves = 1;
    CHECK_FALSE(answered->value.has_value() == (answered->failure != nullptr));
}

TEST_CASE("what comes when the operator has gone is ignored, and wakes nobody") {
    asked<std::string> a;
    auto first = a.ask();
    a.inbox->close();
    first("too late");
    CHECK(a.wakes == 0);
    CHECK(a.answer() == "none");
}

TEST_CASE("the inbox gives back all answers in order, and wakes once for all that come meanwhile") {
    int wakes = 0;
    auto inbox = std::make_shared<async_inbox<int>>([&] { ++wakes; });
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 100; ++i) {
            auto request = std::make_shared<async_request<int>>(inbox);
            request->open.store(1);
            completion<int> (request, 1)(i);
        }
        int n = 0;
        for (auto r = inbox->take(); r; r = std::exchange(r->next, nullptr)) CHECK(*r->value == n++);
        CHECK(n == 100);
    }
    CHECK(wakes == 3);
}

TEST_CASE("an inbox that is closed with a million answers in it frees them without deep recursion") {
    auto inbox = std::make_shared<async_inbox<int>>(nullptr);
    for (int i = 0; i < 1'000'000; ++i) inbox->put(std::make_shared<async_request<int>>(inbox));
    inbox->close();
    CHECK(inbox.use_count() == 1);
}

TEST_CASE("of many threads that end the same attempt one wins") {
    for (int round = 0; round < 50; ++round) {
        asked<std::string> a;
        auto done = a.ask();
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) threads.emplace_back([&done, t] { done("thread " + std::to_string(t)); });
        for (std::thread& t : threads) t.join();
        CHECK(a.answer().starts_with("thread "));
        CHECK(a.answer() == "none");
    }
}

TEST_CASE("the result is what the function's completion says, or what is named") {
    auto lambda = [](const int&, completion<std::string>) {};
    auto changing = [n = 0](int, completion<double>) mutable { ++n; };
    auto generic = [](const int&, auto) {};
    CHECK(std::is_same_v<detail::async_result<void, decltype(lambda)>, std::string>);
    CHECK(std::is_same_v<detail::async_result<void, decltype(changing)>, double>);
    CHECK(std::is_same_v<detail::async_result<void, taker>, std::string>);
    CHECK(std::is_same_v<detail::async_result<void, void (*)(const int&, completion<int>)>, int>);
    CHECK(std::is_same_v<detail::async_result<void, decltype(generic)>, void>);
    CHECK(std::is_same_v<detail::async_result<char, decltype(generic)>, char>);
    CHECK(detail::async_function<decltype(generic), int, char>);
    CHECK_FALSE(detail::async_function<decltype(generic), int, void>);
    CHECK_FALSE(detail::async_function<decltype(lambda), std::string, std::string>);
}

TEST_CASE("options say what they are, and what is wrong with them") {
    using namespace std::chrono_literals;
    CHECK(async_options{}.text() == "128 at a time, ordered");
    CHECK(async_options{.capacity = 7, .timeout = 2500us, .ordered = false, .retry = {2, 1s}}.text() ==
          "7 at a time, unordered, 2.5 ms each, 2 more times after 1000 ms");
    CHECK(async_options{}.problems().empty());
    CHECK(async_options{.capacity = 0, .timeout = -1s, .retry = {1, -1s}}.problems().size() == 3);
}
