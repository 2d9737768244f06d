// Needs runnel::runnel and nothing else.
#include <chrono>
#include <runnel/graph/pipeline.hpp>
#include <runnel/sink/print.hpp>
#include <runnel/source/collection.hpp>
#include <runnel/window/assigners.hpp>
#include <runnel/window/count.hpp>
#include <string>

struct click {
    std::string user;
    runnel::timestamp at;
};

int main() {
    using namespace std::chrono_literals;
    runnel::pipeline p{"clicks"};
    p.from(runnel::collection<click>({{"ann", runnel::timestamp(1s)}, {"ann", runnel::timestamp(2s)}}))
        .event_time(&click::at, runnel::monotonous())
        .key_by(&click::user)
        .window(runnel::tumbling(10s).drop_late())
        .aggregate(runnel::count())
        .to(runnel::print());
    std::move(p).start({.parallelism = 2}).wait();
}
