#include "runnel/sink/sink.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/watermarks.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/window.hpp"

// All that a sink of the host's own takes: here one that keeps the latest count of each page where the host serves it.
namespace {

using page_count = runnel::windowed<std::string, std::uint64_t>;

class served_counts final : public runnel::sink<page_count> {
public:
    explicit served_counts(std::map<std::string, std::uint64_t>& served) : served_(served) {}
    std::string name() const override { return "served counts"; }
    std::unique_ptr<runnel::sink_writer<page_count>> open(const runnel::sink_context&) override {
        return std::make_unique<writer>(served_);
    }

private:
    struct writer final : runnel::sink_writer<page_count> {
        explicit writer(std::map<std::string, std::uint64_t>& served) : served_(served) {}
        runnel::progress write(runnel::batch<page_count>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                records.consume_until(i);  // An error is then known to be of this record.
                served_[records.value(i).key] = records.value(i).value;
            }
            return runnel::progress::done;
        }
        std::map<std::string, std::uint64_t>& served_;
    };

    std::map<std::string, std::uint64_t>& served_;
};

}  // namespace

TEST_CASE("a sink of the user's own is a class of less than 30 lines that is handed to a stream") {
    std::map<std::string, std::uint64_t> served;
    runnel::pipeline p;
    p.from(runnel::timed_collection<std::string>({{"/", runnel::timestamp(1)},
                                                  {"/buy", runnel::timestamp(2)},
                                                  {"/", runnel::timestamp(3)}}))
        .event_time(runnel::monotonous())
        .key_by([](const std::string& page) { return page; })
        .window(runnel::tumbling(std::chrono::seconds(1)).drop_late())
        .aggregate(runnel::count())
        .to(served_counts(served));
    std::move(p).start().wait();
    CHECK(served == std::map<std::string, std::uint64_t>{{"/", 2}, {"/buy", 1}});
}
