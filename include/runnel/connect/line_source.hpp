#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"
#include "runnel/connect/line_reader.hpp"
#include "runnel/core/error.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

/// What all line sources have in common.
struct line_options {
    /// Longest line in bytes, without its end. Longer ones are bad records; memory holds one such line per connection.
    std::size_t max_line = 1024 * 1024;
};

namespace detail {

/// All that is needed to go on reading lines: where, and what the stream recognises the place by.
struct line_position {
    line_place place;
    std::string mark;
};

std::string encode_line_position(const line_position& p);
/// Throws: `decode_error`.
line_position decode_line_position(const std::string& bytes);

}  // namespace detail

/// Records from lines of text. `Format` says what a line is; see `json_lines`, `csv_lines`, `text_lines`,
/// `parsed_lines`.
///
/// One split for each part of the origin, such as a file. A file can be read again from any record on (its position is
/// byte and line); standard input and connections cannot, so restoring a position of theirs is refused. Lines end with
/// "\n" or "\r\n"; the last one of a file may lack it. Lines that the format refuses, too long ones and those that a
/// closed connection has cut off are bad records, named "NAME:LINE byte OFFSET".
///
/// A format has: `using value_type`; `static constexpr std::string_view name`; `static constexpr bool blank_lines`,
/// whether lines without contents are records (otherwise they are left out); `static constexpr bool header`, whether
/// it may have a first line that describes the others, and if so `bool has_header() const`; and `make_decoder()`, whose
/// result has `append(std::string_view line, batch<value_type>&)`, and if so `read_header(std::string_view line)`,
/// which both throw `decode_error` for a bad line. The decoder may have `look_ahead(std::string_view lines)`, which is
/// called before the first of these lines is appended, and with nothing before a line that comes alone.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
template <class Format>
class line_source final : public source<typename Format::value_type> {
public:
    using value_type = typename Format::value_type;

    line_source(byte_input from, Format format, line_options options)
        : origin_(from.origin()), format_(std::move(format)), options_(options) {}

    std::string name() const override { return std::string(Format::name) + " " + origin_->name(); }
    std::vector<std::string> problems() const override {
        std::vector<std::string> found = origin_->problems();
        if (options_.max_line == 0) found.push_back(name() + ": max_line is 0");
        return found;
    }
    source_condition condition() const override { return {.trouble = origin_->trouble()}; }
    bool is_replayable() const override { return origin_->replayable(); }
    std::vector<std::string> splits() override { return origin_->parts(); }
    std::unique_ptr<split_reader<value_type>> open(const std::string& id, const std::string* position,
                                                   const reader_context& context) override {
        if (!origin_->replayable() && context.at_most_once) position = nullptr;
        if (position && !origin_->replayable())
            throw error(name() + " cannot be read again, so a job that reads it cannot go on from a checkpoint. Start "
                                 "it without one, or read a file or a log instead");
        const detail::line_position from = position ? detail::decode_line_position(*position) : detail::line_position{};
        byte_place place{.part = id, .offset = from.place.offset, .mark = from.mark};
        auto made = std::make_unique<reader>(lines_from(place, from.place.line, context), format_, *origin_, context);
        if constexpr (Format::header)
            if (format_.has_header() && place.offset != 0) {
                place.offset = 0;
                made->read_header_again(*lines_from(place, 0, context));
            }
        return made;
    }

private:
    using event = detail::line_reader::event;

    class reader final : public split_reader<value_type> {
    public:
        reader(std::unique_ptr<detail::line_reader> lines, const Format& format, const byte_origin& origin,
               const reader_context& context)
            : lines_(std::move(lines)), format_(format), replayable_(origin.replayable()), context_(context) {
            peers_.push_back(peer(format_));
        }

        poll_result poll(batch<value_type>& into, std::size_t limit) override {
            lines_->start_run();
            for (std::size_t i = 0; i < limit; ++i) {
                std::string_view line;
                switch (lines_->next(line)) {
                    case event::line: take(line, into); break;
                    case event::bad:
                        refuse_header();
                        context_.bad_record(lines_->where(), lines_->why(), line);
                        break;
                    case event::ended:
                        before_ = here();
                        forget_header();
                        break;
                    case event::wait:
                        return lines_->until() == timestamp::max() ? poll_result::wait()
                                                                   : poll_result::until(lines_->until());
                    case event::pause: return poll_result::more();
                    case event::finished: return poll_result::finished();
                }
            }
            return poll_result::more();
        }
        std::string position() const override {
            if (!replayable_) return {};
            // Nothing of a file counts as read before its first record, so that its header is read first after a
            // restore, and a file that comes after another one is found from the end of that.
            const bool begun = peers_[0].header != header_state::expected && lines_->position().offset != 0;
            return begun ? here() : before_;
        }

        /// Takes the header from the beginning of what is going to be read from further on.
        void read_header_again(detail::line_reader& lines) {
            std::string_view line;
            event found = lines.next(line);
            for (; found == event::pause || (found == event::line && line.empty()); found = lines.next(line))
                lines.start_run();
            // A bad one was skipped before the checkpoint, as all lines below it were.
            peers_[0].header = header_state::bad;
            if (found != event::line) return;
            try {
                peers_[0].decoder.read_header(line);
                peers_[0].header = header_state::good;
            } catch (const decode_error&) {
            }
        }

    private:
        enum class header_state : unsigned char { expected, good, bad };
        struct peer {
            explicit peer(const Format& format) : decoder(format.make_decoder()) {
                if constexpr (Format::header)
                    header = format.has_header() ? header_state::expected : header_state::good;
            }
            decltype(std::declval<const Format&>().make_decoder()) decoder;
            header_state header = header_state::good;
        };

        void take(std::string_view line, batch<value_type>& into) {
            if constexpr (!Format::blank_lines)
                if (line.empty()) return;
            try {
                if constexpr (Format::header) {
                    peer& p = current();
                    if (p.header != header_state::good) [[unlikely]] return take_header(p, line);
                    p.decoder.append(line, into);
                } else {
                    look_ahead(peers_[0].decoder, line);
                    peers_[0].decoder.append(line, into);
                }
            } catch (const decode_error& bad) {
                context_.bad_record(lines_->where(), bad.what(), line);
            } catch (const std::exception& e) {
                std::throw_with_nested(error(lines_->where() + ": " + e.what()));
            }
        }
        std::string here() const {
            if (!replayable_) return {};
            return detail::encode_line_position({lines_->position(), lines_->mark()});
        }
        template <class Decoder>
        void look_ahead(Decoder& decoder, std::string_view line) {
            if constexpr (requires { decoder.look_ahead(line); }) {
                if (lines_->block() == ahead_block_ && line.data() < ahead_end_) [[likely]] return;
                const std::string_view lines = lines_->whole_lines_from(line, ahead_size);
                ahead_block_ = lines_->block();
                ahead_end_ = lines.data() + lines.size();
                if (lines.empty()) ahead_block_ = 0;
                decoder.look_ahead(lines);
            }
        }
        void take_header(peer& p, std::string_view line) {
            if (p.header == header_state::bad)
                throw decode_error("the header of this input is bad, so its lines cannot be read");
            p.header = header_state::bad;
            p.decoder.read_header(line);
            p.header = header_state::good;
        }
        /// A line that is too long or cut off has come where the header should be.
        void refuse_header() {
            if constexpr (Format::header)
                if (current().header == header_state::expected) current().header = header_state::bad;
        }
        void forget_header() {
            if constexpr (Format::header) current() = peer(format_);
        }
        peer& current() {
            while (peers_.size() <= lines_->peer()) peers_.push_back(peer(format_));
            return peers_[lines_->peer()];
        }

        static constexpr std::size_t ahead_size = 32 * 1024;

        std::unique_ptr<detail::line_reader> lines_;
        /// The decoder has looked at this block up to here; 0: not at all.
        std::uint64_t ahead_block_ = 0;
        const char* ahead_end_ = nullptr;
        Format format_;
        bool replayable_;
        /// The end of the file that was read last, if another one has come after it.
        std::string before_ = detail::encode_line_position({});
        reader_context context_;
        /// One decoder for all, unless each connection has a header of its own.
        std::vector<peer> peers_;
    };

    std::unique_ptr<detail::line_reader> lines_from(const byte_place& place, std::uint64_t line,
                                                    const reader_context& context) {
        return std::make_unique<detail::line_reader>(origin_->open(place, context), options_.max_line,
                                                     origin_->last_line_may_be_open(),
                                                     detail::line_place{place.offset, line});
    }

    std::shared_ptr<byte_origin> origin_;
    Format format_;
    line_options options_;
};

}  // namespace runnel
