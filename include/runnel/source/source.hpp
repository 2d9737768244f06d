#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/core/batch.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/metrics.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// What a reader says after a poll.
struct poll_result {
    enum class kind : unsigned char {
        more,      ///< There may be more at once.
        wait,      ///< Nothing now; the reader calls `reader_context::wake` when there is.
        idle,      ///< The same, and event time does not wait for this split until it says something else.
        until,     ///< Nothing before processing time `at` (and `wake` may come earlier).
        finished,  ///< This split has ended; it is not polled again.
    };
    kind what = kind::more;
    timestamp at = timestamp::min();

    static poll_result more() { return {kind::more, {}}; }
    static poll_result wait() { return {kind::wait, {}}; }
    static poll_result idle() { return {kind::idle, {}}; }
    static poll_result until(timestamp t) { return {kind::until, t}; }
    static poll_result finished() { return {kind::finished, {}}; }
};

/// What the runtime offers a reader. Valid as long as the reader lives.
struct reader_context {
    /// Has the reader polled again; callable from any thread until the reader is destroyed.
    std::function<void()> wake;
    /// Reports a record that cannot be used. Returns if it is to be skipped, throws if the job is to fail.
    /// `where` names file or peer, line and byte; `why` the cause; `raw` the bytes as they came.
    std::function<void(std::string_view where, std::string_view why, std::string_view raw)> bad_record;
    const runnel::clock* clock = nullptr;
    /// The pipeline takes event times from the source: a record that has none is a bad record.
    bool takes_times = false;
    /// The user accepts that what cannot be read again is lost: a source that can't go on from a position begins with
    /// what comes now, instead of refusing.
    bool at_most_once = false;
    /// The split has appeared since the job, or the one whose state it goes on from, began: nothing of it is to be left
    /// out, wherever reading begins in others.
    bool appeared = false;
    /// Where a reader counts the bytes that it has read, by `count_bytes`; null: nobody looks.
    gauge<std::int64_t>* bytes = nullptr;
};

/// A `split_reader<T>` whatever its records are. Thread safety: unsafe; one subtask at a time uses it.
class split_reader_base {
public:
    virtual ~split_reader_base() = default;
    virtual poll_result poll_any(batch_base& into, std::size_t limit) = 0;
    /// All that is needed to go on after the last record that was read, as bytes of the source's own format.
    virtual std::string position() const = 0;
};

/// Reads one split. Thread safety: unsafe; one subtask at a time uses it. Destroying it ends all reading.
template <class T>
class split_reader : public split_reader_base {
public:
    /// Appends up to `limit` records (`into.append_raw(value, {})`; event times are set by the caller unless the
    /// source has times of its own) and says how to go on. Does not block; does not remove what is in `into`.
    virtual poll_result poll(batch<T>& into, std::size_t limit) = 0;
    poll_result poll_any(batch_base& into, std::size_t limit) final {
        return poll(static_cast<batch<T>&>(into), limit);
    }
};

/// Tells one subtask of splits that appear while it runs. Thread safety: unsafe. Destroying it ends all calls of
/// `wake`.
class split_watch {
public:
    virtual ~split_watch() = default;
    /// Ids of the splits that have appeared since the last call. All watches give them in the same order; `wake` is
    /// called when there are more. Cheap: asked for in each run of the subtask.
    virtual std::vector<std::string> appeared() = 0;
};

/// How far a split has been read: its id and its reader's position.
struct split_position {
    std::string id;
    std::string position;
};

/// What a source can tell of itself besides records.
struct source_condition {
    /// What keeps it from reading now, or has been lost: "cannot reach broker ...". Empty: nothing.
    std::string trouble = {};
    /// How many records there are that it has not read yet, if it knows.
    std::optional<std::uint64_t> lag = {};
    /// The same for each split where it is known.
    std::map<std::string, std::uint64_t> lag_by_split = {};
};

/// A `source<T>` whatever its records are.
class source_base {
public:
    virtual ~source_base() = default;
    /// A short name for messages and `describe()`: "json_lines clicks.jsonl".
    virtual std::string name() const = 0;
    /// The ids of all splits, stable from run to run. Also the place to find that a file is missing.
    virtual std::vector<std::string> splits() = 0;
    virtual std::unique_ptr<split_reader_base> open_any(const std::string& id, const std::string* position,
                                                        const reader_context& context) = 0;
    /// For sources whose splits become more while they are read. `known` says how many of them the caller has: all that
    /// `splits` gave. Null: there won't be more, and the input has ended when all splits have.
    virtual std::unique_ptr<split_watch> watch(std::size_t /*known*/, const reader_context&) { return nullptr; }
    /// A checkpoint is complete: no job of this state goes back behind these positions. To tell others how far it has
    /// come; what the job itself goes on from is its checkpoint.
    virtual void passed(const std::vector<split_position>&) {}
    /// For `job.status()`. Thread safety: safe.
    virtual source_condition condition() const { return {}; }
    /// Problems of configuration, for `validate()`: one text each.
    virtual std::vector<std::string> problems() const { return {}; }
    /// False if what was read can't be read again from a position: after a crash it is lost.
    virtual bool is_replayable() const { return true; }
};

/// A set of splits, each read on its own, in order, from a position that can be saved.
///
/// Derive, and hand the object to `pipeline::from`. A job opens all splits, but those that had finished before the
/// checkpoint it goes on from, and then polls them, those of different subtasks at the same time.
/// Thread safety: `splits`, `watch` and `open` are called by one thread at a time, except that splits that a watch has
/// told of are opened by the subtasks that read them. `passed` is called by another thread than those.
/// Errors: throw `io_error` or another exception; the job ends with it.
template <class T>
class source : public source_base {
public:
    using value_type = T;
    /// Opens split `id` at its beginning, or after `*position`, which an earlier reader has returned.
    virtual std::unique_ptr<split_reader<T>> open(const std::string& id, const std::string* position,
                                                  const reader_context& context) = 0;
    std::unique_ptr<split_reader_base> open_any(const std::string& id, const std::string* position,
                                                const reader_context& context) final {
        return open(id, position, context);
    }
};

namespace detail {

template <class S>
inline constexpr bool source_class = requires { requires std::derived_from<S, source<typename S::value_type>>; };

/// What a source that is made of others holds: a shared_ptr to `source<T>`, from an object or a shared_ptr to one.
template <class S>
auto shared_source(S from) {
    constexpr bool is_source = source_class<S>;
    static_assert(is_source, "hybrid, rate_limited: need a source: an object derived from runnel::source<T>, or a "
                             "std::shared_ptr to one");
    if constexpr (is_source)
        return std::shared_ptr<source<typename S::value_type>>(std::make_shared<S>(std::move(from)));
    else return std::shared_ptr<source<S>>();
}
template <class S>
    requires source_class<S>
std::shared_ptr<source<typename S::value_type>> shared_source(std::shared_ptr<S> from) {
    if (!from) throw graph_error({"hybrid, rate_limited: the pointer to a source is null"});
    return from;
}

}  // namespace detail

}  // namespace runnel
