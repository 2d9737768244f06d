// Records that operators hold, of a type that has changed between two runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/operators/async_operator.hpp"
#include "runnel/operators/process_in_order.hpp"
#include "runnel/operators/reduce.hpp"
#include "runnel/testing/harness.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using testing::operator_harness;

namespace {

struct record_1 {
    std::string key;
    std::int32_t value = 0;
};
struct record_2 {
    std::int64_t value = 0;
    bool added = true;
    std::string key;
    bool operator==(const record_2&) const = default;
};
/// Has other keys than before.
struct record_3 {
    std::string key;
    bool is_odd = false;
};
/// Can't be made from record_1.
struct record_4 {
    std::string key;
    float value = 0;
};
BOOST_DESCRIBE_STRUCT(record_1, (), (key, value))
BOOST_DESCRIBE_STRUCT(record_2, (), (value, added, key))
BOOST_DESCRIBE_STRUCT(record_3, (), (key, is_odd))
BOOST_DESCRIBE_STRUCT(record_4, (), (key, value))

template <class T>
struct key_of {
    const std::string& operator()(const T& r) const { return r.key; }
};
/// Keeps what it has been asked, and never answers.
template <class T>
struct silent {
    std::shared_ptr<std::vector<T>> asked = std::make_shared<std::vector<T>>();
    std::shared_ptr<std::vector<completion<int>>> open = std::make_shared<std::vector<completion<int>>>();
    void operator()(const T& r, completion<int> done) const {
        asked->push_back(r);
        open->push_back(std::move(done));
    }
};
template <class T>
struct pass_on {
    using output_type = T;
    void on_record(const T& r, process_context<T>& c) { c.emit(r); }
};
template <class T>
struct keep_last {
    T operator()(const T&, const T& next) const { return next; }
};

template <class F>
std::string refusal(F f) {
    try {
        f();
    } catch (const job_error& e) {
        try {
            std::rethrow_if_nested(e);
        } catch (const checkpoint_error& cause) {
            return cause.what();
        }
    } catch (const checkpoint_error& e) {
        return e.what();
    }
    return "none";
}

}  // namespace

template <>
struct runnel::migration<record_3> {
    using from = record_1;
    static record_3 migrate(record_1&& old) { return {old.key + "!", old.value % 2 != 0}; }
};

namespace {

/// Checks that what `make<record_1>` has saved is taken, or refused, by later ones.
template <template <class> class Make, class Check>
void check_changes(const std::string& state, Check check) {
    Make<record_1> before;
    for (std::int32_t i = 0; i < 20; ++i) before.harness.push({"key " + std::to_string(i), -i}, timestamp(i + 1));
    const operator_snapshot saved = before.harness.snapshot();
    Make<record_2> now;
    now.harness.restore(saved);
    check(now);
    CHECK(refusal([&] { Make<record_4>().harness.restore(saved); })
              .starts_with("'" + state + "' was saved as {key:string,value:i32} and can't be loaded as "
                           "{key:string,value:f32}: member 'value' was saved as i32 and is f32 now."));
}

template <class T>
struct asked {
    silent<T> service;
    operator_harness<async_operator<T, int, silent<T>, key_of<T>>> harness{{service, {.capacity = 100}}};
};
template <class T>
struct asked_without_key {
    silent<T> service;
    operator_harness<async_operator<T, int, silent<T>>> harness{{service, {.capacity = 100}}};
};
template <class T>
struct held {
    using op = ordered_process_operator<std::string, T, key_of<T>, pass_on<T>, false>;
    operator_harness<op> harness{{key_of<T>(), pass_on<T>()}};
};
template <class T>
struct reduced {
    operator_harness<reduce_operator<std::string, T, key_of<T>, keep_last<T>>> harness{{key_of<T>(), keep_last<T>()}};
};

record_2 nth(std::size_t i) {
    return {-static_cast<std::int64_t>(i), true, "key " + std::to_string(i)};
}

}  // namespace

TEST_CASE("records that wait for an answer are asked again as what they are now") {
    const auto check = [](auto& now) {
        now.harness.tick();
        REQUIRE(now.service.asked->size() == 20);
        for (std::size_t i = 0; i < 20; ++i)
            CHECK(std::count(now.service.asked->begin(), now.service.asked->end(), nth(i)) == 1);
    };
    check_changes<asked>("in flight", check);
    check_changes<asked_without_key>("in flight", check);
}

TEST_CASE("records that are held until their time come as what they are now") {
    check_changes<held>("records", [](auto& now) {
        now.harness.end();
        const auto& out = now.harness.outputs();
        REQUIRE(out.size() == 20);
        for (std::size_t i = 0; i < 20; ++i) CHECK(out[i].value == nth(i));
    });
}

TEST_CASE("what reduce keeps goes on as what it is now") {
    check_changes<reduced>("reduced", [](auto& now) {
        CHECK(now.harness.outputs().empty());
        now.harness.push({5, false, "key 3"}, timestamp(100));
        CHECK(now.harness.outputs().back().value == record_2{5, false, "key 3"});
    });
}

TEST_CASE("a record that has another key after its migration is refused, not processed where its key is not") {
    const auto refused = []<class Op>(const operator_snapshot& saved, Op& now) {
        return refusal([&] { now.harness.restore(saved); });
    };
    asked<record_1> waiting;
    held<record_1> holding;
    asked<record_3> asking;
    held<record_3> keeping;
    for (std::int32_t i = 0; i < 20; ++i) {
        waiting.harness.push({std::to_string(i), i}, timestamp(i + 1));
        holding.harness.push({std::to_string(i), i}, timestamp(i + 1));
    }
    const std::string text = "has another key than when it was saved: key group ";
    CHECK(refused(waiting.harness.snapshot(), asking).find("'in flight' " + text) < 20);
    CHECK(refused(holding.harness.snapshot(), keeping).find("'records' " + text) < 20);
}
