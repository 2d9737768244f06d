#include "runnel/testing/grid_way.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace runnel::testing {

namespace {

constexpr std::size_t results_shown = 4;

/// Calls `f(name, member)` for each part of a way.
template <class Way, class F>
void each_part(Way& way, F f) {
    f("batch", way.batch);
    f("output_batch", way.output_batch);
    f("seed", way.seed);
    f("snapshot_every", way.snapshot_every);
    f("from", way.from);
    f("to", way.to);
    f("rescale_at", way.rescale_at);
    f("uneven", way.uneven);
}

[[noreturn]] void not_a_way(std::string_view text) {
    throw error("\"" + std::string(text) + "\" is not a way through the grid. Copy the text from the report.");
}

std::string step_text(const std::vector<grid_step>& steps, std::size_t i) {
    return "step " + std::to_string(i) + " (" + steps[i].text + ")";
}

std::string list(const char* title, const std::vector<std::string>& texts) {
    if (texts.empty()) return {};
    std::string out = "\n  " + std::string(title) + ": ";
    for (std::size_t i = 0; i < std::min(texts.size(), results_shown); ++i) out += (i == 0 ? "" : "; ") + texts[i];
    if (texts.size() > results_shown) out += "; and " + std::to_string(texts.size() - results_shown) + " more";
    return out;
}

[[noreturn]] void report(const grid_way& way, const std::string& what) {
    const std::string text = way.text();
    std::string message = "the operator's results depend on how it is run\n  way: ";
    message += text.empty() ? "one record at a time" : text;
    message += what;
    if (!text.empty())
        message += "\n  to repeat: run_grid(..., {.only = \"" + text + "\"}), other options as they were";
    throw grid_difference(message, way);
}

}  // namespace

std::string grid_way::text() const {
    const grid_way plain;
    std::vector<std::pair<std::string_view, std::uint64_t>> usual;
    each_part(plain, [&](const char* name, const auto& value) { usual.emplace_back(name, value); });
    std::string out;
    std::size_t i = 0;
    each_part(*this, [&](const char* name, const auto& value) {
        if (static_cast<std::uint64_t>(value) != usual[i].second)
            out += (out.empty() ? "" : " ") + std::string(name) + "=" + std::to_string(value);
        ++i;
    });
    return out;
}

grid_way grid_way::parse(std::string_view text) {
    grid_way way;
    for (std::string_view rest = text; !rest.empty();) {
        std::string_view part = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        const std::size_t equals = part.find('=');
        std::uint64_t number = 0;
        if (equals == std::string_view::npos) not_a_way(text);
        const std::string_view digits = part.substr(equals + 1);
        const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        if (problem != std::errc() || end != digits.data() + digits.size()) not_a_way(text);
        bool known = false;
        each_part(way, [&]<class Member>(const char* name, Member& member) {
            if (part.substr(0, equals) != name) return;
            member = static_cast<Member>(number);
            known = true;
        });
        if (!known) not_a_way(text);
    }
    if (way.output_batch == 0 || way.from == 0 || way.to == 0) not_a_way(text);
    return way;
}

std::vector<grid_way> grid_ways(const std::vector<grid_step>& steps, std::size_t seeds,
                                const std::vector<std::size_t>& parallelism, bool uneven) {
    std::vector<grid_way> ways;
    for (const std::size_t batch : {1, 7, 256, 0})
        for (const std::size_t output_batch : {1, 7, 512})
            if (batch != 1 || output_batch != 1) ways.push_back({.batch = batch, .output_batch = output_batch});

    constexpr std::array<std::size_t, 5> batches{1, 0, 7, 2, 256};
    constexpr std::array<std::size_t, 4> output_batches{1, 2, 3, 16};
    for (std::size_t s = 1; s <= seeds; ++s)
        ways.push_back({.batch = batches[s % batches.size()],
                        .output_batch = output_batches[s % output_batches.size()],
                        .seed = s});

    for (const std::size_t every : {1, 2, 3, 10}) {
        ways.push_back({.batch = every == 1 ? 1u : 0u, .output_batch = 7, .snapshot_every = every});
        ways.push_back({.batch = 7, .output_batch = 2, .seed = every, .snapshot_every = every});
    }

    const std::size_t middle = steps.size() / 2;
    std::size_t at_watermark = middle;
    while (at_watermark < steps.size() && !steps[at_watermark].is_watermark) ++at_watermark;
    std::uint64_t seed = 0;
    for (const std::size_t p : parallelism) {
        for (const std::size_t q : parallelism) {
            ++seed;
            ways.push_back({.batch = 7, .output_batch = 3, .from = p, .to = q, .rescale_at = middle});
            // A different step each time; the multiplier spreads them over the script.
            const std::size_t elsewhere = steps.empty() ? 0 : seed * 7919 % steps.size();
            ways.push_back(
                {.batch = 0, .output_batch = 2, .seed = seed, .from = p, .to = q, .rescale_at = elsewhere});
            if (uneven && p > 1 && at_watermark + 1 < steps.size())
                ways.push_back(
                    {.batch = 7, .output_batch = 3, .from = p, .to = q, .rescale_at = at_watermark, .uneven = true});
        }
    }
    return ways;
}

void report_difference(const grid_way& way, const std::vector<grid_step>& steps, const grid_mismatch& m) {
    // The results lie between two signals: find these.
    std::size_t begin = 0;
    std::size_t end = 0;
    for (std::size_t signals = 0; end < steps.size(); ++end) {
        if (!steps[end].is_signal) continue;
        if (signals++ == m.epoch) break;
        begin = end;
    }
    std::string where = "\n  where: " + m.where;
    if (!steps.empty()) {
        where += m.epoch == 0 ? ", from the start" : ", from " + step_text(steps, begin);
        where += end == steps.size() ? " to the end" : " to " + step_text(steps, end);
    }
    report(way, where + list("missing", m.missing) + list("unexpected", m.unexpected));
}

void report_failure(const grid_way& way, const std::vector<grid_step>& steps, std::size_t at, const std::string& why) {
    report(way, "\n  where: " + (at < steps.size() ? step_text(steps, at) : std::string("after the last step")) +
                    "\n  what: " + why);
}

}  // namespace runnel::testing
