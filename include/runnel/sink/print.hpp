#pragma once

#include <cstdio>
#include <iosfwd>
#include <memory>
#include <string>
#include <utility>

#include "runnel/codec/display.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

namespace detail {

/// Text on its way to a FILE or stream. Thread safety: unsafe.
class print_target {
public:
    explicit print_target(std::FILE* to) : file_(to) {}
    explicit print_target(std::ostream& to) : stream_(&to) {}
    /// Writes and flushes all of `text`, then empties it. Throws: `io_error`.
    void write(std::string& text) const;

private:
    std::FILE* file_ = nullptr;
    std::ostream* stream_ = nullptr;
};

template <class T>
class print_sink final : public sink<T> {
public:
    explicit print_sink(print_target to) : to_(to) {}
    std::string name() const override { return "print"; }
    std::unique_ptr<sink_writer<T>> open(const sink_context&) override { return std::make_unique<writer>(to_); }

private:
    class writer final : public sink_writer<T> {
    public:
        explicit writer(print_target to) : to_(to), stream_(text_) {}
        progress write(batch<T>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                // Said first, so that an exception is known to be of this record.
                records.consume_until(i);
                const std::size_t before = text_.size();
                try {
                    display(stream_, std::as_const(records).value(i));
                } catch (...) {
                    text_.resize(before);
                    throw;
                }
                text_ += '\n';
                if (text_.size() >= enough) to_.write(text_);
            }
            records.consume_until(records.size());
            return progress::done;
        }
        progress flush() override {
            to_.write(text_);
            return progress::done;
        }

    private:
        static constexpr std::size_t enough = 64 * 1024;
        print_target to_;
        std::string text_;
        string_stream stream_;
    };

    print_target to_;
};

}  // namespace detail

/// See `print`.
class print_recipe {
public:
    explicit print_recipe(detail::print_target to) : to_(to) {}
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        return std::make_shared<detail::print_sink<T>>(to_);
    }

private:
    detail::print_target to_;
};

/// Prints each record on a line of its own, as `display` writes it; lines come together, flushed, when the input has
/// run empty, or after 64 KB. Printing blocks when the terminal or pipe does.
///
/// Errors: `io_error` with the system's reason.
/// Lifetime: the FILE or stream outlives the job.
inline print_recipe print(std::FILE* to = stdout) { return print_recipe(detail::print_target(to)); }
inline print_recipe print(std::ostream& to) { return print_recipe(detail::print_target(to)); }

}  // namespace runnel
