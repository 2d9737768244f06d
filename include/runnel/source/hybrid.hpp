#pragma once

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

namespace detail {

/// What a live split is to do.
enum class live_phase : unsigned char {
    waits,    ///< For the history.
    gathers,  ///< For the other live splits: none is read before all take part in event time.
    reads,
};

/// Which splits of the history are still being read, and who waits for that to end. Thread safety: safe.
class history_progress {
public:
    void began(const std::string& history);
    void finished(const std::string& history);
    /// `wake` is called when the phase may have changed; it is good until `left`.
    void opened(const std::string& live, std::function<void()> wake);
    live_phase phase(const std::string& live);
    void left(const std::string& live);

private:
    struct live_split {
        std::function<void()> wake;
        bool here = false;
    };
    bool all_here() const;
    void wake_all() const;

    std::mutex mutex_;
    std::set<std::string> reading_;
    std::map<std::string, live_split> live_;
};

inline constexpr std::string_view history_prefix = "history/";
inline constexpr std::string_view live_prefix = "live/";

std::string encode_live_position(bool begun, const std::string& inner);
/// Whether the split had begun, and the position of its own source.
std::pair<bool, std::string> decode_live_position(const std::string& bytes);

}  // namespace detail

/// Two sources of one type, one behind the other: all splits of the history to their ends, then those of the live
/// source. See `hybrid`.
template <class T>
class hybrid_source final : public source<T> {
public:
    hybrid_source(std::shared_ptr<source<T>> history, std::shared_ptr<source<T>> live)
        : history_(std::move(history)), live_(std::move(live)),
          progress_(std::make_shared<detail::history_progress>()) {}

    std::string name() const override { return "hybrid of " + history_->name() + ", then " + live_->name(); }
    std::vector<std::string> problems() const override {
        std::vector<std::string> found = history_->problems();
        for (std::string& p : live_->problems()) found.push_back(std::move(p));
        return found;
    }
    bool is_replayable() const override { return history_->is_replayable() && live_->is_replayable(); }
    /// First those of the live source, so that a subtask has heard that they wait before it reads its first record.
    std::vector<std::string> splits() override {
        std::vector<std::string> ids;
        for (const std::string& id : live_->splits()) ids.push_back(std::string(detail::live_prefix) + id);
        try {
            for (const std::string& id : history_->splits()) ids.push_back(std::string(detail::history_prefix) + id);
            no_history_ = nullptr;
        } catch (...) {
            // Left to `open`, so that the live source is opened and closed, for those who wait for it.
            no_history_ = std::current_exception();
            ids.emplace_back(detail::history_prefix);
        }
        return ids;
    }
    void passed(const std::vector<split_position>& positions) override {
        std::vector<split_position> history, live;
        for (const auto& [id, position] : positions) {
            if (id.starts_with(detail::history_prefix))
                history.push_back({id.substr(detail::history_prefix.size()), position});
            else if (auto [begun, inner] = detail::decode_live_position(position); begun)
                live.push_back({id.substr(detail::live_prefix.size()), std::move(inner)});
        }
        history_->passed(history);
        live_->passed(live);
    }
    source_condition condition() const override { return live_->condition(); }
    std::unique_ptr<split_reader<T>> open(const std::string& id, const std::string* position,
                                          const reader_context& context) override {
        if (id.starts_with(detail::live_prefix)) return open_live(id, position, context);
        if (no_history_) std::rethrow_exception(no_history_);
        auto inner = history_->open(id.substr(detail::history_prefix.size()), position, context);
        return std::make_unique<history_reader>(id, std::move(inner), progress_);
    }

private:
    class history_reader final : public split_reader<T> {
    public:
        history_reader(std::string id, std::unique_ptr<split_reader<T>> inner,
                       std::shared_ptr<detail::history_progress> progress)
            : id_(std::move(id)), inner_(std::move(inner)), progress_(std::move(progress)) {
            progress_->began(id_);
        }
        poll_result poll(batch<T>& into, std::size_t limit) override {
            const poll_result r = inner_->poll(into, limit);
            if (r.what == poll_result::kind::finished) progress_->finished(id_);
            return r;
        }
        std::string position() const override { return inner_->position(); }

    private:
        std::string id_;
        std::unique_ptr<split_reader<T>> inner_;
        std::shared_ptr<detail::history_progress> progress_;
    };

    class live_reader final : public split_reader<T> {
    public:
        live_reader(std::string id, std::unique_ptr<split_reader<T>> inner, bool begun,
                    std::shared_ptr<detail::history_progress> progress, std::function<void()> wake)
            : id_(std::move(id)), inner_(std::move(inner)), progress_(std::move(progress)), begun_(begun) {
            progress_->opened(id_, std::move(wake));
        }
        ~live_reader() override { progress_->left(id_); }
        poll_result poll(batch<T>& into, std::size_t limit) override {
            if (phase_ != detail::live_phase::reads) phase_ = progress_->phase(id_);
            if (phase_ == detail::live_phase::waits) return poll_result::idle();
            if (phase_ == detail::live_phase::gathers) return poll_result::wait();
            begun_ = true;
            return inner_->poll(into, limit);
        }
        std::string position() const override { return detail::encode_live_position(begun_, inner_->position()); }

    private:
        std::string id_;
        std::unique_ptr<split_reader<T>> inner_;
        std::shared_ptr<detail::history_progress> progress_;
        bool begun_;
        detail::live_phase phase_ = detail::live_phase::waits;
    };

    std::unique_ptr<split_reader<T>> open_live(const std::string& id, const std::string* position,
                                               const reader_context& context) {
        bool begun = false;
        std::string inner_position;
        if (position) std::tie(begun, inner_position) = detail::decode_live_position(*position);
        // One that cannot be read again is not in the way as long as nothing has been read.
        const bool from_there = position && (begun || !inner_position.empty());
        auto inner =
            live_->open(id.substr(detail::live_prefix.size()), from_there ? &inner_position : nullptr, context);
        return std::make_unique<live_reader>(id, std::move(inner), begun, progress_, context.wake);
    }

    std::shared_ptr<source<T>> history_;
    std::shared_ptr<source<T>> live_;
    std::shared_ptr<detail::history_progress> progress_;
    std::exception_ptr no_history_;
};

/// Reads `history` to its end, all its splits, and then `live`; both are sources of the same record type, or
/// shared_ptrs to them.
///
///     p.from(runnel::hybrid(runnel::json_lines<click>("yesterday.jsonl"), clicks))
///
/// While the live splits wait they do not hold event time back. When they begin, event time stands where history has
/// left it and goes on from there, never back: a live record that overlaps with what history has closed is late.
/// The live source is opened at the start already, so what comes in meanwhile waits there: an inlet fills up, a
/// connection is not read.
/// Order: all of the history's records are read before the first live one; subtasks may hand them on at different
/// speeds, so downstream the order holds per split, as always.
/// Late records: the live splits of one subtask begin together, so that each counts from its first record on. One that
/// begins behind those of other subtasks is judged by where event time is then, like an idle split that wakes.
/// Checkpointed state: the positions of both sources, and whether the live one has begun. After a restore splits of the
/// history that are new are read first, as at the start.
template <class History, class Live>
auto hybrid(History history, Live live) {
    auto first = detail::shared_source(std::move(history));
    auto second = detail::shared_source(std::move(live));
    constexpr bool same = std::is_same_v<decltype(first), decltype(second)>;
    static_assert(same, "hybrid: both sources must have the same record type");
    using T = typename decltype(first)::element_type::value_type;
    if constexpr (same) return hybrid_source<T>(std::move(first), std::move(second));
    else return hybrid_source<T>(first, first);
}

}  // namespace runnel
