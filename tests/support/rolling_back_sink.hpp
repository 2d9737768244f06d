#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/core/file_system.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel::tests {

/// A sink that rolls back, with a folder as its target: each commit is a file, "NUMBER.txt", that holds the lines since
/// the one before; the highest number is that of the checkpoint which the target is at. What is not committed is in
/// memory alone, so that a process which dies takes it along.
class rolling_back_sink final : public sink<std::string> {
public:
    struct settings {
        file_system* files = &default_file_system();
        /// Mistakes that have to be found: it has all that it is asked about; it shows results when they are prepared.
        bool believes_all = false;
        bool is_hasty = false;
        /// Called at the beginning and at the end of a commit; what it throws fails it.
        std::function<void(bool at_the_end)> on_commit = {};
    };

    rolling_back_sink(std::string folder, settings s) : folder_(std::move(folder)), settings_(std::move(s)) {}

    std::string name() const override { return "rolling back"; }
    std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }
    bool is_transactional() const override { return true; }
    bool rolls_back() const override { return true; }
    bool is_at(checkpoint_id id, const std::string&, const std::vector<std::string>&) override {
        begin();
        return settings_.believes_all || there() == id;
    }
    void recover(checkpoint_id id, const std::string& owner, const std::vector<std::string>&) override {
        begin();
        if (!settings_.believes_all && there() != id)
            throw error(owner + " is at " + std::to_string(there()) + ", and the job goes on from " +
                                std::to_string(id) + ".");
    }
    void commit(checkpoint_id id, const std::string&, const std::vector<std::string>& prepared) override {
        if (settings_.on_commit) settings_.on_commit(false);
        const std::lock_guard lock(mutex_);
        if (there() < id) show(id);
        answer(prepared);
        if (settings_.on_commit) settings_.on_commit(true);
    }
    void postpone(const std::vector<std::string>& prepared) override {
        const std::lock_guard lock(mutex_);
        answer(prepared);
    }
    std::unique_ptr<sink_writer<std::string>> open(const sink_context& context) override {
        const std::lock_guard lock(mutex_);
        writers_.push_back({context.wake, false});
        return std::make_unique<writer>(*this, writers_.size() - 1, life_);
    }

private:
    struct writer_state {
        std::function<void()> wake;
        bool waits;
    };
    class writer final : public sink_writer<std::string> {
    public:
        writer(rolling_back_sink& to, std::size_t number, std::uint64_t life) : to_(to), number_(number), life_(life) {}
        ~writer() override {
            const std::lock_guard lock(to_.mutex_);
            if (to_.life_ == life_) to_.writers_[number_].wake = nullptr;
        }
        progress write(batch<std::string>& records) override {
            const std::lock_guard lock(to_.mutex_);
            if (to_.writers_[number_].waits) return progress::blocked;
            for (std::size_t i = records.cursor(); i < records.size(); ++i) to_.open_ += records.take(i) + "\n";
            records.consume_until(records.size());
            return progress::done;
        }
        std::string prepare() override {
            const std::lock_guard lock(to_.mutex_);
            if (to_.settings_.is_hasty) to_.show(to_.there() + 1);
            else to_.writers_[number_].waits = true;
            return std::to_string(number_);
        }

    private:
        rolling_back_sink& to_;
        const std::size_t number_;
        const std::uint64_t life_;
    };

    std::string file_of(checkpoint_id id) const {
        const std::string n = std::to_string(id);
        return folder_ + "/" + std::string(12 - n.size(), '0') + n + ".txt";
    }
    checkpoint_id there() const {
        checkpoint_id newest = 0;
        for (const std::string& name : settings_.files->list(folder_))
            if (!name.starts_with('.')) newest = std::max<checkpoint_id>(newest, std::stoull(name));
        return newest;
    }
    /// Whatever was open comes to nothing.
    void begin() {
        const std::lock_guard lock(mutex_);
        open_.clear();
        writers_.clear();
        ++life_;
        make_durable_directories(*settings_.files, folder_);
        for (const std::string& name : settings_.files->list(folder_))
            if (name.starts_with('.')) settings_.files->remove(folder_ + "/" + name);
        settings_.files->sync_directory(folder_);
    }
    void show(checkpoint_id id) {
        const std::string partial = folder_ + "/.partial";
        {
            if (settings_.files->exists(partial)) settings_.files->remove(partial);
            const auto f =
                settings_.files->open(partial, open_mode::create, file_access::owner_only);
            f->append(open_);
            f->sync();
        }
        settings_.files->rename(partial, file_of(id));
        settings_.files->sync_directory(folder_);
        open_.clear();
    }
    void answer(const std::vector<std::string>& prepared) {
        for (const std::string& number : prepared) {
            writer_state& w = writers_[std::stoull(number)];
            w.waits = false;
            if (w.wake) w.wake();
        }
    }

    const std::string folder_;
    const settings settings_;
    std::mutex mutex_;
    std::string open_;
    std::uint64_t life_ = 0;
    std::vector<writer_state> writers_;
};

}  // namespace runnel::tests
