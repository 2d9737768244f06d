#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/core/failure.hpp"
#include "runnel/core/metrics.hpp"
#include "runnel/core/output.hpp"
#include "runnel/core/watermark.hpp"
#include "runnel/source/source.hpp"
#include "runnel/source/timing.hpp"

namespace runnel {

/// What a source instance learns when it is opened. Valid as long as the instance lives.
struct source_context {
    std::string name;
    std::size_t subtask = 0;
    std::size_t parallelism = 1;
    const runnel::clock* clock = nullptr;
    std::function<void()> wake;
    std::function<void(std::string_view where, std::string_view why, std::string_view raw)> bad_record;
    operator_metrics* metrics = nullptr;
    bool at_most_once = false;
};

/// Name of the local state of sources, and the readers' positions in it.
inline constexpr const char* splits_state = "splits";
std::vector<split_position> positions_in(const std::vector<std::string>& saved_splits);

/// One subtask of a source, whatever its types: reads its splits in turn and sends records and watermarks.
///
/// Split number i belongs to subtask i mod parallelism, those that appear later as well. A generator acts as if it
/// spoke after every record: before a record at or below the current watermark, what came before is sent, and then
/// that watermark. So which records are late does not depend on batches.
/// Thread safety: unsafe; one subtask owns it.
class source_stage_base {
public:
    enum class state : unsigned char { progressed, blocked, waiting, finished };
    struct outcome {
        state what;
        timestamp until = timestamp::max();  ///< When `waiting`: to be called again at this processing time.
    };

    virtual ~source_stage_base();
    source_stage_base(const source_stage_base&) = delete;
    source_stage_base& operator=(const source_stage_base&) = delete;

    /// What becomes of what cannot be used. Before `connect`; port 1 is then the one for dead letters, if there is one.
    void set_policy(const failure_policy& policy);
    /// Precondition: `next` takes the record type of `port`.
    void connect(std::size_t port, receiver_base& next, std::size_t batch_size);
    void open(const source_context& context);
    /// Opens the readers, after `open` and, if there is something to restore, `load`.
    void begin();
    /// There may be something to read again: called before the first `step` of each run.
    void woken();
    /// Does a bounded amount of reading, or repeats what was blocked.
    outcome step();
    progress flush();
    /// Repeats what was blocked: after `done` no call to the operators is under way.
    progress settle();
    /// Sends what has been read, then barrier `id`. `save` then gives the state that goes with it.
    progress barrier(checkpoint_id id);
    /// Reads no further: the next steps send what is there and end the stream.
    void drain() { draining_ = true; }
    /// After a `flush` that is done: what has been read has been sent.
    void save(snapshot_writer& to) const;
    void load(snapshot_reader& from);
    /// Ids of this subtask's splits, and which of them holds event time back.
    std::vector<std::string> split_ids() const;
    std::optional<std::size_t> held_by() const;
    timestamp watermark() const { return done_ ? timestamp::max() : merger_.current(); }

protected:
    source_stage_base(std::shared_ptr<source_base> from, source_timing timing);
    /// The derived class's own: where records are gathered, and where they wait.
    void attach(output_base& out, batch_base& held);

private:
    struct split;

    bool is_timed() const noexcept { return timing_.each != nullptr; }
    bool idles() const noexcept { return timing_.idle > duration::zero(); }
    template <class F>
    void guarded(F f);
    void begin_event_time(timestamp at);
    void open_reader(split& s, bool appeared);
    void take_new_splits();
    void refuse(std::string_view where, std::string_view why, std::string_view raw);
    progress noting_blocked(progress p);
    progress complete();
    progress send_all();
    outcome read();
    bool is_held(std::size_t i);
    void note_idle_by_itself(std::size_t i, bool idle);
    outcome rest();
    void admit(std::size_t i, std::size_t from);
    void admit_held();
    split_advance advance_of(std::size_t i);
    void update_metrics(timestamp w);

    std::shared_ptr<source_base> from_;
    source_timing timing_;
    source_context context_;
    reader_context reader_context_;
    /// Ids of the splits of all subtasks.
    std::vector<std::string> all_splits_;
    std::vector<split> splits_;
    /// Null: there will be no more splits.
    std::unique_ptr<split_watch> watch_;
    /// There is saved state that the source goes on from.
    bool goes_on_ = false;
    watermark_merger merger_{0};
    output_base* out_ = nullptr;
    /// Records that wait for a watermark to be sent ahead of them, and their split.
    batch_base* held_ = nullptr;
    std::size_t held_split_ = 0;
    bool finish_after_held_ = false;
    std::size_t next_split_ = 0;
    timestamp forwarded_ = timestamp::min();
    /// `send_all` is under way and must be repeated while it is refused, with the same watermark.
    bool sending_ = false;
    timestamp rising_ = timestamp::min();
    bool idle_sent_ = false;
    timestamp blocked_since_ = timestamp::max();
    bool draining_ = false;
    bool end_ = false;
    bool done_ = false;
    /// Null if there are none.
    std::unique_ptr<dead_letter_port> dead_letters_;
    /// The main output, and that for dead letters.
    output_group outputs_;
};

/// See `source_stage_base`.
template <class T>
class source_stage final : public source_stage_base {
public:
    explicit source_stage(std::shared_ptr<source<T>> from, source_timing timing = {})
        : source_stage_base(std::move(from), std::move(timing)) {
        attach(out_, held_);
    }

private:
    output<T> out_;
    batch<T> held_;
};

}  // namespace runnel
