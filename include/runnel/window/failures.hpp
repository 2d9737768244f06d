#pragma once

#include <string>
#include <type_traits>

#include "runnel/core/timestamp.hpp"
#include "runnel/operators/failed_key.hpp"
#include "runnel/operators/late_output.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/window/window.hpp"

// What the window operators do with failures. A record at which something throws is left out: its window is as it was
// before, if what the aggregate's `add` threw from had changed nothing yet; what an `add` had changed stays. A result
// that can't be made is left out: from there on the window is as if it had fired. Nothing is tried again: what is given
// the same records fails again.

namespace runnel::detail {

/// Inside a catch block: leaves out the record in hand, or throws the exception on if it ends the job.
template <class T>
[[gnu::cold, gnu::noinline]] void leave_out_record(const operator_context& context, const T& record, timestamp t) {
    if (!context.keeps_failed()) throw;
    using runnel::records_in;
    (void)context.failures->failed(&record, t, {}, false, records_in(record));
}

/// Inside a catch block: the same with the result of a window of `key`, which would have had time t.
template <class K>
[[gnu::cold, gnu::noinline]] void leave_out_result(const operator_context& context, const K& key, const window& span,
                                                   timestamp t) {
    if (!context.keeps_failed()) throw;
    std::string where;
    if constexpr (!std::is_same_v<K, no_key>) where = key_text(key) + ", ";
    where += "window [" + to_string(span.start) + ", " + to_string(span.end) + ")";
    (void)context.failures->failed(nullptr, t, where, false);
}

/// True if there is room for what is left out next.
inline bool can_leave_out(const operator_context& context) {
    return context.failures == nullptr || context.failures->ready();
}

}  // namespace runnel::detail
