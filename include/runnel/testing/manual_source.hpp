#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/timed.hpp"
#include "runnel/source/source.hpp"

namespace runnel::testing {

/// A source whose splits are fed by the test. Copies are handles of the same source: one goes into the pipeline.
///
///     manual_source<click> clicks;
///     p.from(clicks).event_time(&click::at, monotonous())...
///     clicks.push({"ann", timestamp(3s)});
///     clicks.finish();
///
/// Keeps all that was pushed, so that a job can be restored from any position.
/// Thread safety: safe.
/// Errors: `error` if a split is pushed to after it was finished, or does not exist.
template <class T>
class manual_source final : public source<T> {
public:
    explicit manual_source(std::size_t splits = 1) : shared_(std::make_shared<shared>()) {
        shared_->splits.resize(splits);
    }

    /// Adds a record to the first split. Its time counts if the pipeline takes times from the source:
    /// `event_time(strategy)`.
    void push(T value, timestamp t = {}) { push(0, std::move(value), t); }
    void push(std::size_t split, T value, timestamp t = {}) {
        std::lock_guard lock(shared_->mutex);
        part& p = open_part(split);
        p.records.push_back({std::move(value), t});
        if (p.wake) p.wake();
    }
    /// Ends one split.
    void finish(std::size_t split) {
        std::lock_guard lock(shared_->mutex);
        part& p = open_part(split);
        p.finished = true;
        if (p.wake) p.wake();
    }
    /// Ends all splits that have not ended yet.
    void finish() {
        for (std::size_t i = 0; i < shared_->splits.size(); ++i)
            if (!is_finished(i)) finish(i);
    }
    /// Adds a split, which running jobs find out; `splits_may_be_added` has said so. Returns its number.
    std::size_t add_split() {
        std::lock_guard lock(shared_->mutex);
        if (!shared_->grows) throw error("manual_source: say splits_may_be_added before the job is started");
        shared_->splits.emplace_back();
        for (const auto& [watch, wake] : shared_->watches) wake();
        return shared_->splits.size() - 1;
    }
    /// Jobs that are started later ask for new splits, and so don't end by themselves.
    void splits_may_be_added() { shared_->grows = true; }
    bool is_finished(std::size_t split) const {
        std::lock_guard lock(shared_->mutex);
        return shared_->splits.at(split).finished;
    }

    std::string name() const override { return "manual_source"; }
    std::vector<std::string> problems() const override {
        if (shared_->splits.empty()) return {"manual_source: 0 splits; at least 1 is needed"};
        return {};
    }
    std::vector<std::string> splits() override {
        std::lock_guard lock(shared_->mutex);
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < shared_->splits.size(); ++i) ids.push_back(std::to_string(i));
        return ids;
    }
    std::unique_ptr<split_watch> watch(std::size_t known, const reader_context& context) override {
        if (!shared_->grows) return nullptr;
        return std::make_unique<watching>(shared_, known, context.wake);
    }
    std::unique_ptr<split_reader<T>> open(const std::string& id, const std::string* position,
                                          const reader_context& context) override {
        std::size_t next = 0;
        if (position) {
            byte_reader in(*position);
            next = codec<std::uint64_t>::decode(in);
        }
        return std::make_unique<reader>(shared_, std::stoul(id), next, context.wake);
    }

private:
    struct part {
        std::vector<timed<T>> records;
        bool finished = false;
        std::function<void()> wake;  // of the reader, if there is one
    };
    struct shared {
        std::mutex mutex;
        std::deque<part> splits;  // contents under mutex
        bool grows = false;
        std::map<const void*, std::function<void()>> watches;
    };

    class watching final : public split_watch {
    public:
        watching(std::shared_ptr<shared> from, std::size_t known, std::function<void()> wake)
            : from_(std::move(from)), known_(known) {
            std::lock_guard lock(from_->mutex);
            from_->watches[this] = std::move(wake);
        }
        ~watching() override {
            std::lock_guard lock(from_->mutex);
            from_->watches.erase(this);
        }
        std::vector<std::string> appeared() override {
            std::lock_guard lock(from_->mutex);
            std::vector<std::string> ids;
            for (; known_ < from_->splits.size(); ++known_) ids.push_back(std::to_string(known_));
            return ids;
        }

    private:
        std::shared_ptr<shared> from_;
        std::size_t known_;
    };

    class reader final : public split_reader<T> {
    public:
        reader(std::shared_ptr<shared> from, std::size_t split, std::size_t next, std::function<void()> wake)
            : from_(std::move(from)), split_(split), next_(next) {
            std::lock_guard lock(from_->mutex);
            from_->splits[split_].wake = std::move(wake);
        }
        ~reader() override {
            std::lock_guard lock(from_->mutex);
            from_->splits[split_].wake = nullptr;
        }
        poll_result poll(batch<T>& into, std::size_t limit) override {
            std::lock_guard lock(from_->mutex);
            const part& p = from_->splits[split_];
            const std::size_t n = std::min(limit, p.records.size() - next_);
            for (std::size_t i = 0; i < n; ++i, ++next_) into.append_raw(p.records[next_].value, p.records[next_].time);
            if (next_ < p.records.size()) return poll_result::more();
            return p.finished ? poll_result::finished() : poll_result::wait();
        }
        std::string position() const override {
            std::string bytes;
            codec<std::uint64_t>::encode(next_, bytes);
            return bytes;
        }

    private:
        std::shared_ptr<shared> from_;
        std::size_t split_;
        std::size_t next_;
    };

    part& open_part(std::size_t split) {
        if (split >= shared_->splits.size())
            throw error("manual_source: there is no split " + std::to_string(split) + ", only " +
                        std::to_string(shared_->splits.size()) + ", from 0 on");
        if (shared_->splits[split].finished)
            throw error("manual_source: split " + std::to_string(split) + " has been finished already");
        return shared_->splits[split];
    }

    std::shared_ptr<shared> shared_;
};

}  // namespace runnel::testing
