#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kafka_producer.hpp"
#include "runnel/sink/sink.hpp"
#include "runnel/sink/write_ahead_sink.hpp"

/// What the two forms of an exactly-once sink have in common.
namespace runnel::detail {

/// What heads all that a sink prepares that rolls back.
inline constexpr std::string_view kafka_rolled_back = "rolls back ";

std::vector<std::string> kafka_target_problems(const kafka_target& to, const std::string& transactional_id);
std::shared_ptr<sink<kafka_output>> make_kafka_rolling_back(kafka_target to, std::string transactional_id);

inline bool was_rolling_back(const std::vector<std::string>& prepared) {
    const auto is_it = [](const std::string& p) { return p.starts_with(kafka_rolled_back); };
    return std::any_of(prepared.begin(), prepared.end(), is_it);
}
/// True if there is no result in what a sink has prepared that writes ahead, so that nothing had to be stored.
inline bool has_no_results(const std::vector<std::string>& prepared) {
    const std::vector<write_ahead_part> parts = read_parts(prepared);
    return std::all_of(parts.begin(), parts.end(), [](const write_ahead_part& p) { return p.count == 0; });
}

/// Calls `f` again if it is shut out: a process that was killed may have asked the cluster for that, and be heard only
/// now.
template <class F>
auto unless_shut_out(F f) {
    for (int tries = 3;; --tries) {
        try {
            return f();
        } catch (const kafka_error& e) {
            if (!is_kafka_shut_out(e.reason()) || tries == 1) throw;
        }
    }
}

[[noreturn]] void refuse_lost_marker(const std::string& sink, const std::string& topic, const std::string& group,
                                     checkpoint_id id, checkpoint_id before);

}  // namespace runnel::detail
