#include "runnel/testing/failing_file_system.hpp"

#include <optional>
#include <utility>

namespace runnel::testing {

std::optional<call_failure> failing_file_system::next(const char* operation, const std::string& path) {
    const std::lock_guard guard(mutex_);
    if (!failing_.only.empty() && failing_.only != operation) return {};
    ++calls_;
    if (failing_.first == 0 || calls_ < failing_.first) return {};
    if (calls_ > failing_.first && !failing_.from_then_on) return {};
    if (++failures_ == 1) first_failure_ = std::string(operation) + " \"" + path + "\"";
    return failing_.how;
}

void failing_file_system::fail(const char* operation, const std::string& path) const {
    int code;
    {
        const std::lock_guard guard(mutex_);
        code = failing_.code;
    }
    detail::throw_io_error(operation, path, code);
}

template <class F>
auto failing_file_system::call(const char* operation, const std::string& path, F f) {
    const auto failure = next(operation, path);
    if (failure && (*failure == call_failure::before || *failure == call_failure::halfway)) fail(operation, path);
    if (failure && *failure == call_failure::afterwards) {
        f();
        fail(operation, path);
    }
    return f();
}

class failing_file_system::failing_file final : public file {
public:
    failing_file(failing_file_system& in, std::unique_ptr<file> real)
        : file(real->name()), in_(in), real_(std::move(real)) {}

private:
    std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) override {
        return transfer("read from", n, [&](std::size_t part) { return real_->read(offset, into, part); });
    }
    std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) override {
        return transfer("write to", n, [&](std::size_t part) {
            real_->write(offset, {from, part});
            return part;
        });
    }
    void do_sync() override {
        in_.call("sync", name(), [&] { real_->sync(); });
    }
    std::uint64_t do_size() override {
        return in_.call("tell the size of", name(), [&] { return real_->size(); });
    }
    file_id do_id() override { return real_->id(); }
    void do_truncate(std::uint64_t size) override {
        in_.call("truncate", name(), [&] { real_->truncate(size); });
    }
    bool do_try_lock() override {
        return in_.call("lock", name(), [&] { return real_->try_lock(); });
    }

    /// `f` does as much of a read or write as it is told.
    template <class F>
    std::size_t transfer(const char* operation, std::size_t n, F f) {
        const auto failure = in_.next(operation, name());
        if (!failure) return f(n);
        // A single byte can't be halved; and that none could be read would mean the end of the file.
        if (*failure == call_failure::shortened) return f(n - n / 2);
        if (*failure == call_failure::halfway) f(n / 2);
        if (*failure == call_failure::afterwards) f(n);
        in_.fail(operation, name());
    }

    failing_file_system& in_;
    const std::unique_ptr<file> real_;
};

std::size_t failing_file_system::calls() const {
    const std::lock_guard guard(mutex_);
    return calls_;
}

std::size_t failing_file_system::failures() const {
    const std::lock_guard guard(mutex_);
    return failures_;
}

std::string failing_file_system::first_failure() const {
    const std::lock_guard guard(mutex_);
    return first_failure_;
}

void failing_file_system::restart(failing_calls failing) {
    const std::lock_guard guard(mutex_);
    failing_ = std::move(failing);
    calls_ = failures_ = 0;
    first_failure_.clear();
}

std::unique_ptr<file> failing_file_system::open(const std::string& path, open_mode mode, file_access access) {
    return call(mode == open_mode::create ? "create" : "open", path, [&] {
        return std::make_unique<failing_file>(*this, real_.open(path, mode, access));
    });
}

void failing_file_system::rename(const std::string& from, const std::string& to) {
    call("rename", from, [&] { real_.rename(from, to); });
}

void failing_file_system::remove(const std::string& path) {
    call("remove", path, [&] { real_.remove(path); });
}

void failing_file_system::sync_directory(const std::string& path) {
    call("sync folder", path, [&] { real_.sync_directory(path); });
}

void failing_file_system::make_directories(const std::string& path, file_access access) {
    call("make folder", path, [&] { real_.make_directories(path, access); });
}

std::vector<std::string> failing_file_system::list(const std::string& path) {
    return call("list folder", path, [&] { return real_.list(path); });
}

bool failing_file_system::exists(const std::string& path) {
    return call("look at", path, [&] { return real_.exists(path); });
}

bool failing_file_system::is_directory(const std::string& path) {
    return call("look at", path, [&] { return real_.is_directory(path); });
}

bool failing_file_system::is_symbolic_link(const std::string& path) {
    return call("look at", path, [&] { return real_.is_symbolic_link(path); });
}

std::uint64_t failing_file_system::size(const std::string& path) {
    return call("tell the size of", path, [&] { return real_.size(path); });
}

}  // namespace runnel::testing
