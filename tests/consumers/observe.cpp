// Metrics and the live page, as a user would use them.
#include <cstdio>
#include <string>

#include "runnel/graph/pipeline.hpp"
#include "runnel/observe/live_page.hpp"
#include "runnel/observe/prometheus.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"

int main() {
    runnel::pipeline p{"three"};
    p.from(runnel::collection({1, 2, 3})).named("numbers").to(runnel::null_sink());
    runnel::observe::live_page page;
    auto job = std::move(p).start();
    page.add(job);
    job.wait();
    const std::string text = runnel::observe::to_prometheus(job);
    const std::size_t at = text.find("runnel_records_out_total{");
    std::printf("%s\n%s\n", page.url().substr(0, 17).c_str(), text.substr(at, text.find('\n', at) - at).c_str());
}
