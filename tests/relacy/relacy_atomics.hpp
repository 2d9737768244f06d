#pragma once

// The policy that puts Relacy's atomics, locks and checked variables in the place of the standard ones, and the
// driver that runs a model, as it is and with each memory order weakened.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <mutex>
#include <ostream>
#include <vector>

#include <relacy/relacy.hpp>

// Relacy turns words of the language and the library into macros; the code under test needs them as they are.
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno

// Relacy replaces the plain forms of delete only; these would free its memory behind its back.
void operator delete(void* p, std::size_t) noexcept { ::operator delete(p); }
void operator delete[](void* p, std::size_t) noexcept { ::operator delete[](p); }

namespace model {

enum class kind : unsigned char { load, store, read_modify_write, fence };

/// One place in the code under test where a memory order is written.
struct site {
    const char* file;
    int line;
    kind what;
    std::memory_order order;
};

/// One weaker order at one site.
struct mutant {
    std::size_t site;
    std::memory_order order;
    bool removed;  // a fence that is left out altogether
};

inline const char* name(std::memory_order order) {
    switch (order) {
        case std::memory_order_relaxed: return "relaxed";
        case std::memory_order_consume: return "consume";
        case std::memory_order_acquire: return "acquire";
        case std::memory_order_release: return "release";
        case std::memory_order_acq_rel: return "acq_rel";
        default: return "seq_cst";
    }
}

/// Which sites there are, as met while running, and which of them is weakened at the moment.
class orders {
public:
    static orders& instance() {
        static orders the;
        return the;
    }

    /// The order to use at this place instead of `order`.
    mutant at(const char* file, int line, kind what, std::memory_order order) {
        const auto is_here = [&](const site& s) {
            return s.line == line && s.what == what && std::strcmp(s.file, file) == 0;
        };
        std::size_t i = 0;
        while (i < count_ && !is_here(sites_[i])) ++i;
        if (i == count_) {
            if (count_ == max_sites) std::abort();
            sites_[count_++] = {file, line, what, order};
        }
        if (active_ != nullptr && active_->site == i) return *active_;
        return {i, order, false};
    }

    /// All ways to weaken the sites that have been met.
    std::vector<mutant> mutants() const {
        constexpr auto relaxed = std::memory_order_relaxed;
        constexpr auto acquire = std::memory_order_acquire;
        constexpr auto release = std::memory_order_release;
        constexpr auto acq_rel = std::memory_order_acq_rel;
        constexpr auto seq_cst = std::memory_order_seq_cst;
        std::vector<mutant> all;
        for (std::size_t i = 0; i < count_; ++i) {
            const auto [file, line, what, order] = sites_[i];
            if (what == kind::fence) {
                if (order == seq_cst) all.push_back({i, acq_rel, false});
                else all.push_back({i, order, true});
            } else if (order == seq_cst) {
                all.push_back({i, what == kind::load ? acquire : what == kind::store ? release : acq_rel, false});
            } else if (order == acq_rel) {
                all.push_back({i, acquire, false});
                all.push_back({i, release, false});
            } else if (order != relaxed) {
                all.push_back({i, relaxed, false});
            }
        }
        return all;
    }
    const site& operator[](std::size_t i) const { return sites_[i]; }
    void weaken(const mutant* m) { active_ = m; }

private:
    static constexpr std::size_t max_sites = 64;  // no vector: sites are met inside a run, where Relacy owns the heap
    site sites_[max_sites];
    std::size_t count_ = 0;
    const mutant* active_ = nullptr;
};

inline rl::memory_order to_relacy(std::memory_order order) {
    switch (order) {
        case std::memory_order_relaxed: return rl::mo_relaxed;
        case std::memory_order_consume: return rl::mo_consume;
        case std::memory_order_acquire: return rl::mo_acquire;
        case std::memory_order_release: return rl::mo_release;
        case std::memory_order_acq_rel: return rl::mo_acq_rel;
        default: return rl::mo_seq_cst;
    }
}

inline rl::memory_order asked(const char* file, int line, kind what, std::memory_order order) {
    return to_relacy(orders::instance().at(file, line, what, order).order);
}

#define RUNNEL_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define RUNNEL_WHERE rl::debug_info("", file, static_cast<unsigned>(line))

template <class T>
class atomic {
public:
    atomic() : value_(T()) {}
    atomic(T value) : value_(value) {}

    T load(std::memory_order order, RUNNEL_HERE) const {
        return value_.load(asked(file, line, kind::load, order), RUNNEL_WHERE);
    }
    void store(T value, std::memory_order order, RUNNEL_HERE) {
        value_.store(value, asked(file, line, kind::store, order), RUNNEL_WHERE);
    }
    T fetch_add(T n, std::memory_order order, RUNNEL_HERE) {
        return value_.fetch_add(n, asked(file, line, kind::read_modify_write, order), RUNNEL_WHERE);
    }
    T fetch_sub(T n, std::memory_order order, RUNNEL_HERE) {
        return value_.fetch_sub(n, asked(file, line, kind::read_modify_write, order), RUNNEL_WHERE);
    }
    bool compare_exchange_weak(T& expected, T value, std::memory_order order, RUNNEL_HERE) {
        return value_.compare_exchange_weak(expected, value, asked(file, line, kind::read_modify_write, order),
                                            RUNNEL_WHERE);
    }
    /// A failure order below relaxed does not exist, and only relaxed is in use.
    bool compare_exchange_strong(T& expected, T value, std::memory_order order, std::memory_order, RUNNEL_HERE) {
        return value_.compare_exchange_strong(expected, value, asked(file, line, kind::read_modify_write, order),
                                              RUNNEL_WHERE, rl::mo_relaxed, RUNNEL_WHERE);
    }

private:
    rl::atomic<T> value_;
};

/// A variable without protection of its own: Relacy reports accesses that nothing orders.
template <class T>
class plain {
public:
    plain() : value_(T()) {}
    plain(T value) : value_(value) {}
    plain& operator=(T value) {
        value_($).store(value);
        return *this;
    }
    operator T() const { return value_($).load(); }

private:
    rl::var<T> value_;
};

class mutex {
public:
    void lock() { locked_.lock($); }
    void unlock() { locked_.unlock($); }

private:
    friend class condition_variable;
    rl::mutex locked_;
};

class condition_variable {
public:
    void wait(std::unique_lock<mutex>& lock) { changed_.wait(lock.mutex()->locked_, $); }
    void notify_one() { changed_.notify_one($); }
    void notify_all() { changed_.notify_all($); }

private:
    rl::condition_variable changed_;
};

/// The policy for the templates under test.
struct relacy_atomics {
    template <class T>
    using atomic = model::atomic<T>;
    template <class T>
    using plain = model::plain<T>;
    using mutex = model::mutex;
    using condition_variable = model::condition_variable;
    static void fence(std::memory_order order, RUNNEL_HERE) {
        const mutant m = orders::instance().at(file, line, kind::fence, order);
        if (!m.removed) rl::atomic_thread_fence(to_relacy(m.order), RUNNEL_WHERE);
    }
};

/// Lets the other threads go on, in a loop that waits for them.
inline void yield() { rl::yield(1, $); }

/// Tries all schedules with few switches of threads, but not more than asked for: Relacy's own would go on for hours.
template <rl::thread_id_t Threads>
class few_switches : public rl::context_bound_scheduler<Threads> {
public:
    using base = rl::context_bound_scheduler<Threads>;
    few_switches(rl::test_params& params, typename base::shared_context_t& context, rl::thread_id_t dynamic)
        : base(params, context, dynamic), left_(params.iteration_count) {}
    bool iteration_end() { return base::iteration_end() || --left_ == 0; }

private:
    rl::iteration_t left_;
};

/// Runs models, counts, and prints the result.
class driver {
public:
    /// `--iterations N` or RUNNEL_RELACY_ITERATIONS: random schedules per model; 20,000 if neither is given.
    driver(int argc, char** argv) {
        if (const char* n = std::getenv("RUNNEL_RELACY_ITERATIONS")) iterations_ = std::strtoull(n, nullptr, 10);
        for (int i = 1; i + 1 < argc; ++i)
            if (std::strcmp(argv[i], "--iterations") == 0) iterations_ = std::strtoull(argv[i + 1], nullptr, 10);
        if (iterations_ == 0) iterations_ = 1;
    }

    /// Adds a model: `Test` is a rl::test_suite. All are run by check().
    template <class Test>
    void add(const char* name) {
        constexpr rl::thread_id_t threads = Test::params::thread_count;
        models_.push_back({name, &driver::simulate<Test, rl::random_scheduler<threads>, rl::sched_random>,
                           &driver::simulate<Test, few_switches<threads>, rl::sched_bound>, &driver::explain<Test>});
    }

    /// Adds a model of a mistake in the protocol, which has to be noticed: the check on the models themselves.
    template <class Test>
    void add_broken(const char* name) {
        constexpr rl::thread_id_t threads = Test::params::thread_count;
        broken_.push_back({name, &driver::simulate<Test, rl::random_scheduler<threads>, rl::sched_random>,
                           &driver::simulate<Test, few_switches<threads>, rl::sched_bound>, &driver::explain<Test>});
    }

    /// Weakens only what is in files with this name; other files have models of their own.
    void only(const char* file) { only_ = file; }

    /// Orders of this kind in this file are known to be stronger than they have to be, and why.
    void excuse(const char* file, kind what, std::memory_order order, const char* why) {
        excuses_.push_back({file, what, order, why});
    }

    /// Each model has to hold, and each weakened order has to break one of them.
    int check() {
        for (const entry& m : models_) {
            hold(m, m.random, "random schedules");
            hold(m, m.systematic, "schedules of at most 2 switches");
        }
        for (const entry& m : broken_) {
            const bool noticed = !m.random(iterations_).ok;
            std::printf("%s %s\n", noticed ? "ok      noticed:" : "FAILED  NOT NOTICED:", m.name);
            count(noticed);
        }
        // More schedules than for the models themselves: most mistakes show within hundreds, which ends the search.
        const std::uint64_t enough = std::max<std::uint64_t>(iterations_, 100'000);
        for (const mutant& m : orders::instance().mutants()) {
            const site& s = orders::instance()[m.site];
            if (std::strstr(s.file, only_) == nullptr) continue;
            const char* base = std::strrchr(s.file, '/');
            char what[200];
            std::snprintf(what, sizeof what, "%s:%d %s weakened to %s", base != nullptr ? base + 1 : s.file, s.line,
                          name(s.order), m.removed ? "nothing" : name(m.order));
            orders::instance().weaken(&m);
            const entry* caught_by = nullptr;
            for (const entry& e : models_) {
                if (e.random(enough).ok && e.systematic(enough).ok) continue;
                caught_by = &e;
                break;
            }
            orders::instance().weaken(nullptr);
            const excuse_entry* known = nullptr;
            for (const excuse_entry& x : excuses_)
                if (std::strstr(s.file, x.file) != nullptr && s.what == x.what && s.order == x.order) known = &x;
            if (known != nullptr && caught_by == nullptr) {
                std::printf("known   %s goes unnoticed: %s\n", what, known->why);
            } else {
                if (caught_by != nullptr) std::printf("ok      %s breaks %s\n", what, caught_by->name);
                else std::printf("FAILED  %s IS NOT NOTICED\n", what);
                count(caught_by != nullptr);
            }
        }
        std::printf("%d passed, %d failed\n", passed_, failed_);
        return failed_ == 0 ? 0 : 1;
    }

private:
    struct outcome {
        bool ok;
        std::uint64_t schedules;
    };
    struct entry {
        const char* name;
        outcome (*random)(std::uint64_t schedules);
        outcome (*systematic)(std::uint64_t schedules);
        void (*explain)(std::uint64_t schedules);
    };
    struct excuse_entry {
        const char* file;
        kind what;
        std::memory_order order;
        const char* why;
    };
    template <class Test, class Scheduler, rl::scheduler_type_e Type>
    static outcome simulate(std::uint64_t schedules) {
        std::ostream nowhere(nullptr);
        rl::test_params params = parameters(schedules, nowhere);
        params.search_type = Type;
        rl::ostringstream state;
        const auto result = rl::run_test<Test, Scheduler>(params, state, false);
        return {result == rl::test_result_success, params.stop_iteration};
    }

    /// Runs the random schedules again, up to the one that fails, and prints its history.
    template <class Test>
    static void explain(std::uint64_t schedules) {
        rl::test_params params = parameters(schedules, std::cout);
        rl::simulate<Test>(params);
    }

    static rl::test_params parameters(std::uint64_t schedules, std::ostream& output) {
        static std::ostream nowhere(nullptr);
        rl::test_params params;
        params.iteration_count = schedules;
        params.context_bound = 2;
        params.execution_depth_limit = 4000;
        params.output_stream = &output;
        params.progress_stream = &nowhere;
        params.progress_output_period = 0x7fffffff;
        return params;
    }

    void hold(const entry& model, outcome (*how)(std::uint64_t), const char* text) {
        const outcome found = how(iterations_);
        std::printf("%s  %s: %llu %s\n", found.ok ? "ok    " : "FAILED", model.name,
                    static_cast<unsigned long long>(found.schedules), text);
        if (!found.ok) model.explain(iterations_);
        count(found.ok);
    }

    void count(bool ok) {
        std::fflush(stdout);
        ++(ok ? passed_ : failed_);
    }

    std::uint64_t iterations_ = 20'000;
    const char* only_ = "";
    std::vector<entry> models_;
    std::vector<entry> broken_;
    std::vector<excuse_entry> excuses_;
    int passed_ = 0;
    int failed_ = 0;
};

}  // namespace model
