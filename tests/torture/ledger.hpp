#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/file_system.hpp"
#include "runnel/sink/write_ahead_sink.hpp"

namespace torture {

using namespace runnel;

/// A target as a database is one: lines and the number of a checkpoint are stored together or not at all, and what is
/// stored twice is there twice. It is the file "ledger", written anew each time, the number first.
class ledger final : public write_ahead_sink<std::string> {
public:
    static constexpr const char* mark = "stored ";

    ledger(std::string folder, file_system& files) : folder_(std::move(folder)), files_(files) {}
    std::string name() const override { return "ledger"; }

    void store(checkpoint_id id, const std::string&, const std::vector<std::string>& results) override {
        content now = read();
        content_.reset();  // Until it is known what the file holds.
        if (id != 0) now.id = id;
        for (const std::string& r : results) now.lines += "ledger " + r + '\n';
        files_.make_directories(folder_, file_access::owner_only);
        {
            const auto f = files_.open(folder_ + "/.ledger", open_mode::replace);
            f->append(mark + std::to_string(now.id) + '\n' + now.lines);
            f->sync();
        }
        files_.rename(folder_ + "/.ledger", folder_ + "/ledger");
        files_.sync_directory(folder_);
        content_ = std::move(now);
    }
    checkpoint_id stored(const std::string&) override { return read().id; }

private:
    struct content {
        checkpoint_id id = 0;
        std::string lines;
    };
    const content& read() {
        if (content_) return *content_;
        content found;
        if (files_.exists(folder_ + "/.ledger")) files_.remove(folder_ + "/.ledger");
        if (files_.exists(folder_ + "/ledger")) {
            // Its name may have been given a moment before all ended: only now is it what a power failure leaves.
            files_.sync_directory(folder_);
            const auto f = files_.open(folder_ + "/ledger", open_mode::read);
            std::string text(static_cast<std::size_t>(f->size()), '\0');
            text.resize(f->read(0, text.data(), text.size()));
            const std::size_t end = text.find('\n');
            found.id = std::strtoull(text.c_str() + std::string(mark).size(), nullptr, 10);
            found.lines = text.substr(end + 1);
        }
        return content_.emplace(std::move(found));
    }

    std::string folder_;
    file_system& files_;
    std::optional<content> content_;
};

}  // namespace torture
