#include "runnel/core/error.hpp"

#include <utility>

namespace runnel {
namespace {

std::string list(const std::vector<std::string>& problems) {
    std::string text = "the graph cannot run:";
    for (const std::string& problem : problems) text += "\n  - " + problem;
    return text;
}

std::string describe(const std::string& operator_name, std::size_t subtask, timestamp record_time,
                     const std::string& cause) {
    std::string text = "operator '" + operator_name + "', subtask " + std::to_string(subtask);
    if (record_time != timestamp::min() && record_time != timestamp::max())
        text += ", record time " + to_string(record_time);
    return text + ": " + cause;
}

std::string text_of(const std::exception_ptr& cause) {
    try {
        std::rethrow_exception(cause);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "an exception that is not a std::exception";
    }
}

}  // namespace

graph_error::graph_error(std::vector<std::string> problems) : error(list(problems)), problems_(std::move(problems)) {}

job_error::job_error(std::string operator_name, std::size_t subtask, timestamp record_time, const std::string& cause)
    : error(describe(operator_name, subtask, record_time, cause)),
      operator_name_(std::move(operator_name)),
      subtask_(subtask),
      record_time_(record_time == timestamp::max() ? timestamp::min() : record_time) {}

record_error::record_error(std::exception_ptr cause, timestamp record_time)
    : error(text_of(cause)), cause_(std::move(cause)), record_time_(record_time) {}

}  // namespace runnel
