#include "runnel/source/ticker.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runnel/codec/codec.hpp"

namespace runnel {

namespace {

class ticker_reader final : public split_reader<tick> {
public:
    ticker_reader(duration interval, std::uint64_t count, timestamp last, std::uint64_t next, const clock& by)
        : interval_(interval), count_(count), last_(last), next_(next), clock_(by) {
        due_ = std::max(last_, clock_.now()) + interval_;
    }

    poll_result poll(batch<tick>& into, std::size_t limit) override {
        const timestamp now = clock_.now();
        for (; limit != 0 && next_ != count_ && due_ <= now; --limit) {
            into.append_raw(tick{next_++, due_}, due_);
            last_ = due_;
            due_ = due_ + interval_;
        }
        if (next_ == count_) return poll_result::finished();
        return due_ <= now ? poll_result::more() : poll_result::until(due_);
    }
    std::string position() const override {
        std::string bytes;
        codec<std::uint64_t>::encode(next_, bytes);
        codec<std::int64_t>::encode(last_.ns(), bytes);
        return bytes;
    }

private:
    duration interval_;
    std::uint64_t count_;
    timestamp last_;
    std::uint64_t next_;
    timestamp due_;
    const clock& clock_;
};

}  // namespace

std::string ticker_source::name() const {
    return fmt::format("ticker, every {} s", std::chrono::duration<double>(interval_).count());
}

std::vector<std::string> ticker_source::problems() const {
    if (interval_ <= duration::zero()) return {"ticker: the interval is not above 0"};
    return {};
}

std::unique_ptr<split_reader<tick>> ticker_source::open(const std::string&, const std::string* position,
                                                        const reader_context& context) {
    std::uint64_t next = 0;
    timestamp last = timestamp::min();
    if (position) {
        byte_reader in(*position);
        next = codec<std::uint64_t>::decode(in);
        last = timestamp(codec<std::int64_t>::decode(in));
        if (next > count_)
            throw error(fmt::format("ticker: the saved position is after {} ticks, but there are only {}. Restore with "
                                    "the same count",
                                    next, count_));
    }
    return std::make_unique<ticker_reader>(interval_, count_, last, next, *context.clock);
}

}  // namespace runnel
