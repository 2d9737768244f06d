#include "runnel/operators/async.hpp"

#include <fmt/format.h>

namespace runnel {

namespace {

std::string in_milliseconds(duration d) {
    return fmt::format("{} ms", std::chrono::duration<double, std::milli>(d).count());
}

}  // namespace

std::string async_options::text() const {
    std::string text = fmt::format("{} at a time, {}", capacity, ordered ? "ordered" : "unordered");
    if (timeout != duration::zero()) text += fmt::format(", {} each", in_milliseconds(timeout));
    if (retry.times != 0)
        text += fmt::format(", {} more {} after {}", retry.times, retry.times == 1 ? "time" : "times",
                            in_milliseconds(retry.backoff));
    return text;
}

std::vector<std::string> async_options::problems() const {
    std::vector<std::string> problems;
    if (capacity == 0) problems.push_back("its capacity is 0: no record could be under way. Use at least 1.");
    if (timeout < duration::zero())
        problems.push_back("its timeout is negative. Use 0 to wait for ever, or a positive duration.");
    if (retry.backoff < duration::zero())
        problems.push_back("its retry's backoff is negative. Use 0 to ask again at once, or a positive duration.");
    return problems;
}

}  // namespace runnel
