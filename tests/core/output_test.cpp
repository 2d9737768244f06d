#include "runnel/core/output.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace runnel;

namespace {

/// Takes all records of a batch but answers `blocked` a number of times first.
struct reluctant final : receiver<int> {
    int refusals;
    int calls = 0;
    std::vector<int> taken;
    std::vector<timestamp> watermarks;

    explicit reluctant(int n) : refusals(n) {}
    progress on_batch(batch<int>& records) override {
        ++calls;
        for (std::size_t i = records.cursor(); i < records.size(); ++i) taken.push_back(records.value(i));
        records.consume_until(records.size());
        return refusals-- > 0 ? progress::blocked : progress::done;
    }
    progress on_watermark(timestamp w) override {
        watermarks.push_back(w);
        return progress::done;
    }
    progress on_activity(activity) override { return progress::done; }
    progress on_barrier(checkpoint_id) override { return progress::done; }
    progress flush() override { return progress::done; }
};

}  // namespace

TEST_CASE("a batch that was taken whole but refused is offered again before anything else, and each record counts once") {
    reluctant to(2);
    output<int> out;
    out.connect(to, 2);
    out.emit(1, timestamp(1));
    out.emit(2, timestamp(2));
    CHECK_FALSE(out.ready());
    CHECK_FALSE(out.ready());
    CHECK(out.ready());
    CHECK(to.calls == 3);
    CHECK(out.current().size() == 0);
    CHECK(out.count() == 2);

    out.emit(3, timestamp(3));
    CHECK(out.forward_watermark(timestamp(3)) == progress::done);
    CHECK(to.calls == 4);
    CHECK(to.taken == std::vector<int>{1, 2, 3});
    CHECK(to.watermarks == std::vector<timestamp>{timestamp(3)});
}
