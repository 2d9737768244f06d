#include "runnel/testing/grid.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "runnel/operators/kernel.hpp"
#include "runnel/operators/operator_stage.hpp"
#include "runnel/operators/reduce.hpp"
#include "runnel/operators/split.hpp"

using namespace runnel;
using namespace runnel::testing;

namespace {

struct order {
    std::string customer;
    int amount = 0;
    friend bool operator==(const order&, const order&) = default;
    friend std::ostream& operator<<(std::ostream& out, const order& o) { return out << o.customer << ' ' << o.amount; }
};

}  // namespace

template <>
struct runnel::codec<order> {
    static void encode(const order& o, std::string& out) {
        codec<std::string>::encode(o.customer, out);
        codec<int>::encode(o.amount, out);
    }
    static order decode(byte_reader& in) {
        std::string customer = codec<std::string>::decode(in);
        return {std::move(customer), codec<int>::decode(in)};
    }
};

namespace {

template <class F>
auto map_of(F f) {
    return map_step<F>{std::move(f)};
}
template <class F>
auto filter_of(F f) {
    return filter_step<F>{std::move(f)};
}
template <class F>
auto flat_map_of(F f) {
    return flat_map_step<F>{std::move(f)};
}
template <class F>
auto peek_of(F f) {
    return peek_step<F>{std::move(f)};
}
template <class In, class... Steps>
kernel<In, Steps...> kernel_of(Steps... steps) {
    return {std::tuple<Steps...>(std::move(steps)...), {std::string(Steps::kind)...}};
}

script<int> numbers(std::uint64_t seed) {
    return random_script<int>(seed, [](auto& random) { return static_cast<int>(random() % 1000); });
}
script<order> orders(std::uint64_t seed) {
    return random_script<order>(seed, [](auto& random) {
        return order{"customer " + std::to_string(random() % 20), static_cast<int>(random() % 100)};
    });
}

/// Counts the records of each key and emits key and count at every watermark; written record by record.
class counter {
public:
    using input_type = order;
    using output_type = order;

    void open(const operator_context& context) { groups_ = context.key_groups; }
    void on_record(order&& o, timestamp, output<order>&) { ++counts_[o.customer]; }
    progress advance(timestamp w, output<order>& out) {
        while (!counts_.empty()) {
            if (!out.ready()) return progress::blocked;
            out.emit({counts_.begin()->first, counts_.begin()->second}, w);
            counts_.erase(counts_.begin());
        }
        return progress::done;
    }
    void save(snapshot_writer& to) const {
        for (const auto& [key, count] : counts_) {
            std::string& bytes = to.keyed("counts", key_group_of(key, groups_));
            codec<std::string>::encode(key, bytes);
            codec<int>::encode(count, bytes);
        }
    }
    void load(snapshot_reader& from) {
        from.keyed("counts", [&](key_group, std::string_view bytes) {
            for (byte_reader in(bytes); !in.empty();) {
                const std::string key = codec<std::string>::decode(in);
                counts_[key] = codec<int>::decode(in);
            }
        });
    }

private:
    std::map<std::string, int> counts_;
    std::size_t groups_ = 128;
};

/// Emits the sum of this number and the one before; written batch by batch, with state that has no key.
class pair_sums {
public:
    using input_type = int;
    using output_type = int;

    progress process(batch<int>& in, output<int>& out) {
        for (std::size_t i = in.cursor(); i < in.size(); ++i) {
            in.consume_until(i);
            if (!out.ready()) return progress::blocked;
            const int value = in.take(i);
            out.emit(value + before_, in.time(i));
            before_ = value;
        }
        return progress::done;
    }
    void save(snapshot_writer& to) const { codec<int>::encode(before_, to.local("before")); }
    void load(snapshot_reader& from) {
        from.local("before", [&](std::string_view bytes) {
            byte_reader in(bytes);
            before_ = codec<int>::decode(in);
        });
    }

private:
    int before_ = 0;
};

/// Sends a record to one of three outputs, or to all of them.
class router {
public:
    using input_type = int;
    using output_type = int;
    using side_types = std::tuple<std::string, int>;

    void open(const operator_context&, output<std::string>& words, output<int>& big) {
        words_ = &words;
        big_ = &big;
    }
    void on_record(int&& n, timestamp t, output<int>& out) {
        if (n % 3 != 1) out.emit(n, t);
        if (n % 3 != 2) words_->emit(std::to_string(n), t);
        if (n > 500) big_->emit(n, t);
    }

private:
    output<std::string>* words_ = nullptr;
    output<int>* big_ = nullptr;
};

grid_options<int, int> in_order() {
    grid_options<int, int> o;
    o.in_order = true;
    return o;
}

}  // namespace

TEST_CASE("fused map, filter and peek give the same in every way, in order") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        CHECK(run_grid(kernel_of<int>(map_of([](int n) { return n + 1; })), numbers(seed), in_order()) > 50);
        CHECK(run_grid(kernel_of<int>(filter_of([](int n) { return n % 2 == 0; }), peek_of([](const int&) {}),
                                      map_of([](int n) { return 2 * n; }), filter_of([](int n) { return n % 3 == 0; })),
                       numbers(seed), in_order()) > 50);
        CHECK(run_grid(kernel_of<int>(filter_of([](int) { return false; })), numbers(seed), in_order()) > 50);
    }
}

TEST_CASE("fused flat_map gives the same in every way, in order, whether one record gives none or many") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        const auto one_to_many = [](int n) { return std::vector<int>(static_cast<std::size_t>(n % 12), n); };
        CHECK(run_grid(kernel_of<int>(flat_map_of(one_to_many), filter_of([](int n) { return n % 5 != 0; })),
                       numbers(seed), in_order()) > 50);
        const auto words = [](order o) { return std::deque<std::string>{o.customer, "", std::to_string(o.amount)}; };
        grid_options<order, std::string> ordered;
        ordered.in_order = true;
        const auto louder = [](std::string s) { return s + '!'; };
        CHECK(run_grid(kernel_of<order>(flat_map_of(words), map_of(louder)), orders(seed), ordered) > 50);
    }
}

TEST_CASE("split gives the same on both outputs in every way, in order") {
    const auto even = [](const int& n) { return n % 2 == 0; };
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        CHECK(run_grid(split_operator<int, decltype(even)>(even), numbers(seed), in_order()) > 50);
    }
}

TEST_CASE("an operator with several side outputs gives the same on each in every way, in order") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        CHECK(run_grid(router(), numbers(seed), in_order()) > 50);
    }
}

TEST_CASE("reduce gives the same in every way, with snapshots and other parallelism, in order per key") {
    const auto key = [](const order& o) -> const std::string& { return o.customer; };
    const auto add = [](const order& a, const order& b) { return order{a.customer, a.amount + b.amount}; };
    grid_options<order, order> options;
    options.group_of = group_by(&order::customer);
    options.result_key = order_by(&order::customer);
    options.in_order = true;
    options.uneven_watermarks = true;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        CHECK(run_grid(reduce_operator<std::string, order, decltype(key), decltype(add)>(key, add), orders(seed),
                       options) > 70);
    }
}

TEST_CASE("an operator of the user's own, record by record with keyed state, gives the same in every way") {
    grid_options<order, order> options;
    options.group_of = group_by(&order::customer);
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        CHECK(run_grid(counter(), orders(seed), options) > 50);
    }
}

TEST_CASE("an operator of the user's own, batch by batch with state that has no key, gives the same in one subtask") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        CHECK(run_grid(pair_sums(), numbers(seed), in_order()) > 30);
    }
}

namespace {

/// Passes everything on, and holds watermarks back by a tick.
struct holding_back {
    using input_type = int;
    using output_type = int;
    void on_record(int&& n, timestamp t, output<int>& out) { out.emit(n, t); }
    timestamp output_watermark(timestamp w) const { return w == timestamp::max() ? w : w.previous(); }
};

}  // namespace

TEST_CASE("an operator may forward other watermarks than it gets, and the lowest not at all") {
    CHECK(run_grid(holding_back(), numbers(1), in_order()) > 50);
    script<int> s;
    s.record(1, timestamp(1)).watermark(timestamp::min() + duration(1)).record(2, timestamp(2));
    s.watermark(timestamp(5)).record(3, timestamp(6)).end();
    CHECK(run_grid(holding_back(), s, in_order()) > 50);
}

namespace {

/// Counts how often it is advanced, and emits the number.
struct advance_counter {
    using input_type = int;
    using output_type = int;
    int advances = 0;
    void on_record(int&&, timestamp, output<int>&) {}
    progress advance(timestamp w, output<int>& out) {
        if (!out.ready()) return progress::blocked;
        out.emit(++advances, w);
        return progress::done;
    }
};

}  // namespace

TEST_CASE("an operator is advanced once per watermark, however often its results and the watermark are refused") {
    operator_harness h(advance_counter{});
    for (int refusals = 1; refusals <= 4; ++refusals) {
        h.refuse_next(static_cast<std::size_t>(refusals));
        h.watermark(timestamp(refusals));
        CHECK(h.get().advances == refusals);
        CHECK(h.outputs().size() == static_cast<std::size_t>(refusals));
    }
}
