// R19: keys that were made to collide, in the hash that places them and is the same everywhere, in std::hash, or in the
// hash of the tables as it would be with a salt that is known, cost at most ten times as much as others.
//
// colliding_keys [ROUNDS [SEED]]: so many runs of each kind with such keys and with ordinary ones, by turns; the median of
// the ratios counts.
#include <time.h>

#include <algorithm>
#include <bit>
#include <boost/describe.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/log/log_folder.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/state/salted_hash.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/distinct_count.hpp"
#include "tests/support/random.hpp"

namespace {

using namespace runnel;
using namespace std::chrono_literals;

constexpr std::size_t key_count = 100'000;
constexpr std::uint64_t records = 4 * key_count;

/// What times `odd` is 1.
std::uint64_t inverse(std::uint64_t odd) {
    std::uint64_t x = odd;
    for (int i = 0; i != 6; ++i) x *= 2 - odd * x;
    return x;
}

std::uint64_t load(const char* from) {
    std::uint64_t word;
    std::memcpy(&word, from, sizeof word);
    return word;
}
void store(std::uint64_t word, char* to) { std::memcpy(to, &word, sizeof word); }

/// Blocks of eight bytes, the last of which brings the state of XXH64 to where it always is.
class same_stable_hash {
public:
    explicit same_stable_hash(std::size_t bytes) : state_(prime_5 + bytes) {}
    void add(std::uint64_t block) { state_ = std::rotl(state_ ^ round(block), 27) * prime_1 + prime_4; }
    std::uint64_t last() const {
        constexpr std::uint64_t wanted = 0x5eed;
        return std::rotr((wanted ^ state_) * inverse(prime_1), 31) * inverse(prime_2);
    }

private:
    static constexpr std::uint64_t prime_1 = 0x9e3779b185ebca87u, prime_2 = 0xc2b2ae3d27d4eb4fu,
                                   prime_4 = 0x85ebca77c2b2ae63u, prime_5 = 0x27d4eb2f165667c5u;
    static std::uint64_t round(std::uint64_t block) { return std::rotl(block * prime_2, 31) * prime_1; }
    std::uint64_t state_;
};

using texts = std::vector<std::string>;

texts ordinary(std::size_t size, std::uint64_t seed) {
    tests::random_numbers random(seed);
    texts all(key_count, std::string(size, '\0'));
    for (std::string& key : all)
        for (char& c : key) c = static_cast<char>(random.below(256));
    return all;
}

/// All have one stable hash, and so one key group. As keys they are encoded behind their length in four bytes.
texts of_one_stable_hash(std::uint64_t seed) {
    texts all = ordinary(20, seed);
    for (std::string& key : all) {
        std::string bytes;
        codec<std::string>::encode(key, bytes);
        same_stable_hash h(bytes.size());
        h.add(load(bytes.data()));
        h.add(load(bytes.data() + 8));
        store(h.last(), key.data() + 12);
    }
    return all;
}

/// All have one hash under `std::hash` as libstdc++ has it, MurmurHash64A.
texts of_one_std_hash(std::uint64_t seed) {
    constexpr std::uint64_t mul = 0xc6a4a7935bd1e995u, start = 0xc70f6907u ^ 16 * mul, wanted = 0x5eed;
    const auto shift = [](std::uint64_t v) { return v ^ v >> 47; };
    texts all = ordinary(16, seed);
    for (std::string& key : all) {
        const std::uint64_t state = (start ^ shift(load(key.data()) * mul) * mul) * mul;
        store(shift((wanted ^ state) * inverse(mul)) * inverse(mul), key.data() + 8);
    }
    return all;
}

/// A salt that an attacker has seen, in another process.
constexpr hash_salt known{0x243f6a8885a308d3u, 0x13198a2e03707344u};

/// All have one hash in a table with that salt: it is multiplied by nothing.
texts of_one_known_hash(std::uint64_t seed) {
    texts all = ordinary(16, seed);
    for (std::string& key : all) store(known.b, key.data());
    return all;
}

/// A key that is hashed through the bytes of its codec.
struct place {
    std::uint64_t a = 0, b = 0;
    friend bool operator==(const place&, const place&) = default;
};
BOOST_DESCRIBE_STRUCT(place, (), (a, b))

std::vector<place> places(const texts& of) {
    std::vector<place> all;
    for (const std::string& t : of) all.push_back({load(t.data()), load(t.data() + 8)});
    return all;
}

std::vector<place> places_of_one_stable_hash(std::uint64_t seed) {
    std::vector<place> all = places(ordinary(16, seed));
    for (place& p : all) {
        same_stable_hash h(16);
        h.add(p.a);
        p.b = h.last();
    }
    return all;
}

template <class K>
struct event {
    K key;
    std::uint64_t n = 0;
};

/// Sums up per key, and has a timer per key.
template <class K>
struct summing {
    using output_type = std::uint64_t;
    value_state<std::uint64_t> sum;
    event_timer end;
    void open(state_setup& s) {
        sum = s.value<std::uint64_t>("sum");
        end = s.event_timer("end");
    }
    void on_record(const event<K>& e, process_context<std::uint64_t>&) {
        sum.set(sum.value_or(0) + e.n);
        end.set(timestamp(1h));
    }
    void on_timer(const timer_event&, process_context<std::uint64_t>& c) { c.emit(sum.value_or(0)); }
};

/// Records with each key in turn, a microsecond apart.
template <class K>
auto events(pipeline& p, const std::vector<K>& keys) {
    auto shared = std::make_shared<std::vector<K>>(keys);
    return p.from(generate(records, [shared](std::uint64_t i) { return event<K>{(*shared)[i % key_count], i}; }))
        .named("events")
        .event_time([](const event<K>& e) { return timestamp(std::chrono::microseconds(e.n)); }, monotonous());
}

double cpu_seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// CPU-seconds that a job takes.
double time_of(pipeline p) {
    testing::sim_executor sim(1);
    const double before = cpu_seconds();
    std::move(p).start({.executor = &sim, .clock = &sim.clock()}).wait();
    return cpu_seconds() - before;
}

template <class K>
double reduce(const std::vector<K>& keys) {
    pipeline p;
    events(p, keys)
        .key_by(&event<K>::key)
        .reduce([](const event<K>& a, const event<K>& b) { return event<K>{a.key, a.n + b.n}; })
        .to(null_sink());
    return time_of(std::move(p));
}

double windows(const texts& keys) {
    pipeline p;
    events(p, keys).key_by(&event<std::string>::key).window(tumbling(100ms).drop_late()).aggregate(count()).to(null_sink());
    return time_of(std::move(p));
}

double sessions(const texts& keys) {
    pipeline p;
    events(p, keys).key_by(&event<std::string>::key).window(session(1s).drop_late()).aggregate(count()).to(null_sink());
    return time_of(std::move(p));
}

double process(const texts& keys) {
    pipeline p;
    events(p, keys).key_by(&event<std::string>::key).process(summing<std::string>()).to(null_sink());
    return time_of(std::move(p));
}

double distinct(const texts& keys) {
    pipeline p;
    events(p, keys)
        .window_all(tumbling(200ms).drop_late())
        .aggregate(distinct_count(&event<std::string>::key))
        .to(null_sink());
    return time_of(std::move(p));
}

/// Stops a job in the middle with a savepoint, and begins from it.
double restore(const texts& keys) {
    testing::memory_file_system files;
    const double before = cpu_seconds();
    for (const bool again : {false, true}) {
        testing::sim_executor sim(1);
        pipeline p("restored");
        events(p, keys).key_by(&event<std::string>::key).process(summing<std::string>()).named("sums").to(null_sink());
        job_options options{.executor = &sim, .clock = &sim.clock()};
        options.checkpoints = {.folder = again ? "/b" : "/a", .interval = {}, .executor = &sim, .files = &files};
        if (again) options.restore = "/saved";
        job running = std::move(p).start(options);
        if (again) {
            running.wait();
        } else {
            while (running.status().operators.front().records_out < records / 2) sim.step();
            running.stop_with_savepoint("/saved");
        }
    }
    return cpu_seconds() - before;
}

double compaction(const texts& keys) {
    testing::memory_file_system files;
    const log_topic topic = log_folder("/log", {.files = &files}).topic("t", {});
    log_writer out = topic.writer(0, {.segment_bytes = 1 << 20});
    for (int pass = 0; pass != 2; ++pass)
        for (const std::string& key : keys) out.append({.time = timestamp(), .key = key, .value = "x"});
    out.flush();
    const double before = cpu_seconds();
    out.compact(duration::zero());
    return cpu_seconds() - before;
}

struct kind {
    const char* name;
    std::function<double(std::uint64_t seed)> colliding, ordinary;
};

template <class Keys>
kind with(const char* name, double (*f)(const Keys&), Keys (*colliding)(std::uint64_t), Keys (*others)(std::uint64_t)) {
    return {name, [=](std::uint64_t seed) { return f(colliding(seed)); }, [=](std::uint64_t seed) { return f(others(seed)); }};
}

/// Hashes that are different, of all keys.
template <class Keys, class Hash>
std::size_t different(const Keys& keys, Hash hash) {
    std::set<std::uint64_t> all;
    for (const auto& key : keys) all.insert(hash(key));
    return all.size();
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::uint64_t differences = 0, cases = 0;
    const auto expect = [&](bool is_so, const char* what) {
        if (!is_so) std::printf("%s\n", what), ++differences;
    };
    // The keys do what is said of them, and only that.
    expect(different(of_one_stable_hash(seed), stable_hash<std::string>) == 1, "keys with several stable hashes");
    expect(different(places_of_one_stable_hash(seed), stable_hash<place>) == 1, "structs with several stable hashes");
    expect(different(of_one_known_hash(seed), salted_hash<std::string>(known)) == 1, "keys that do not collide");
    expect(different(places(of_one_known_hash(seed)), salted_hash<place>(known)) == 1, "structs that do not collide");
    expect(different(of_one_known_hash(seed), salted_hash<std::string>()) == key_count, "keys that collide");
#ifdef __GLIBCXX__
    expect(different(of_one_std_hash(seed), std::hash<std::string>()) == 1, "keys with several std::hash");
#endif

    const auto short_texts = +[](std::uint64_t s) { return ordinary(16, s); };
    const auto long_texts = +[](std::uint64_t s) { return ordinary(20, s); };
    const auto some_places = +[](std::uint64_t s) { return places(ordinary(16, s)); };
    const auto known_places = +[](std::uint64_t s) { return places(of_one_known_hash(s)); };
    const std::vector<kind> kinds{
        with("reduce, one stable hash", reduce<std::string>, of_one_stable_hash, long_texts),
        with("reduce, one hash under a known salt", reduce<std::string>, of_one_known_hash, short_texts),
        with("reduce by structs, one stable hash", reduce<place>, places_of_one_stable_hash, some_places),
        with("reduce by structs, one hash under a known salt", reduce<place>, known_places, some_places),
        with("windows, one stable hash", windows, of_one_stable_hash, long_texts),
        with("windows, one hash under a known salt", windows, of_one_known_hash, short_texts),
        with("sessions, one hash under a known salt", sessions, of_one_known_hash, short_texts),
        with("process function, one stable hash", process, of_one_stable_hash, long_texts),
        with("process function, one hash under a known salt", process, of_one_known_hash, short_texts),
        with("distinct count, one hash under a known salt", distinct, of_one_known_hash, short_texts),
        with("savepoint and restore, one stable hash", restore, of_one_stable_hash, long_texts),
        with("compaction of the log, one std::hash", compaction, of_one_std_hash, short_texts),
        with("compaction of the log, one hash under a known salt", compaction, of_one_known_hash, short_texts),
    };
    for (const kind& k : kinds) {
        std::vector<double> ratios;
        for (std::uint64_t r = 0; r != rounds; ++r) {
            const double others = k.ordinary(seed + r), colliding = k.colliding(seed + r);
            ratios.push_back(others / colliding);
            ++cases;
        }
        std::sort(ratios.begin(), ratios.end());
        const double median = ratios[ratios.size() / 2];
        std::printf("%s: %.2f of the speed\n", k.name, median);
        if (!(median >= 0.1)) ++differences;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("torture R19 %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(cases), static_cast<unsigned long long>(rounds * kinds.size()),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(seed), took.count());
    return differences == 0 ? 0 : 1;
}
