#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

/// What all benchmarks share: rounds of runnel and its hand-written twin in turn, equal checksums, ratio of medians.
namespace bench {

inline double seconds_of(const auto& f) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

/// Prints the line that scripts read. `note` says what stands behind the value.
inline void print_ratio(const std::string& name, double value, double floor, double goal,
                        const std::string& note = "") {
    std::printf("ratio %s %.3f floor %g goal %g%s%s\n", name.c_str(), value, floor, goal, note.empty() ? "" : "  # ",
                note.c_str());
    std::fflush(stdout);
}

inline std::string million_per_second(double events, double seconds) {
    char text[64];
    std::snprintf(text, sizeof text, "%.1f M/s", events / seconds / 1e6);
    return text;
}

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "failed: %s\n", what.c_str());
    std::exit(1);
}

/// What a side of a comparison gives: called once a round, returns its checksum.
struct side {
    std::string name;
    std::function<std::uint64_t()> run;
    std::vector<double> seconds;
};

/// Runs all sides in turn, `rounds` times after one to warm up, and demands equal checksums. Returns their medians.
inline std::vector<double> compare(std::vector<side> sides, int rounds) {
    std::vector<double> medians;
    for (int r = -1; r < rounds; ++r) {
        std::uint64_t first = 0;
        for (std::size_t i = 0; i < sides.size(); ++i) {
            std::uint64_t sum = 0;
            const double s = seconds_of([&] { sum = sides[i].run(); });
            if (i == 0) first = sum;
            if (sum != first)
                fail("checksum of " + sides[i].name + " is " + std::to_string(sum) + ", of " + sides[0].name + " " +
                     std::to_string(first));
            if (r >= 0) sides[i].seconds.push_back(s);
        }
    }
    for (side& s : sides) medians.push_back(median(s.seconds));
    return medians;
}

/// runnel against its best twin, as a ratio of throughputs.
inline void ratio(const std::string& name, double floor, double goal, double events,
                  std::function<std::uint64_t()> ours,
                  std::vector<side> twins, int rounds = 7) {
    std::vector<side> sides{{"runnel", std::move(ours), {}}};
    for (side& t : twins) sides.push_back(std::move(t));
    const std::vector<std::string> names = [&] {
        std::vector<std::string> all;
        for (const side& s : sides) all.push_back(s.name);
        return all;
    }();
    const std::vector<double> m = compare(std::move(sides), rounds);
    std::size_t best = 1;
    for (std::size_t i = 2; i < m.size(); ++i)
        if (m[i] < m[best]) best = i;
    std::string note = "runnel " + million_per_second(events, m[0]);
    for (std::size_t i = 1; i < m.size(); ++i) note += ", " + names[i] + " " + million_per_second(events, m[i]);
    print_ratio(name, m[best] / m[0], floor, goal, note);
}

constexpr std::uint64_t splitmix64(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}
/// The checksum of a result with four fields; checksums of results are added up.
constexpr std::uint64_t h(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    return splitmix64(a ^ splitmix64(b ^ splitmix64(c ^ splitmix64(d))));
}

}  // namespace bench
