// Nothing pushed is lost: orders go through a log before they are acknowledged. The program ends its first job in the
// middle, as a crash would; the second one goes on from the checkpoint, and every order is counted exactly once.
//   durable_inlet [--describe]
#include <boost/describe.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "runnel/log/durable_inlet.hpp"
#include "runnel/log/log_folder.hpp"
#include "runnel/log.hpp"
#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct order {
    std::string product;
    int pieces = 0;
};
BOOST_DESCRIBE_STRUCT(order, (), (product, pieces))

runnel::pipeline pieces_per_hour(const runnel::durable_inlet<order>& orders, const std::string& folder) {
    runnel::pipeline p{"orders"};
    p.from(orders).named("orders")
        .event_time(runnel::bounded_out_of_orderness(1min))
        .key_by(&order::product)
        .window(runnel::tumbling(1h).drop_late())
        .aggregate(runnel::sum(&order::pieces)).named("pieces")
        .to(runnel::text_lines_to(folder + "/pieces.txt")).named("file");
    return p;
}

int main(int argc, char**) {
    const std::string folder = (std::filesystem::temp_directory_path() / "runnel_durable_inlet").string();
    std::filesystem::remove_all(folder);
    for (int life = 0; life < 2; ++life) {
        runnel::log_folder log(folder + "/log");
        runnel::durable_inlet<order> orders(log.topic("orders", {.partitions = 1}));
        runnel::pipeline p = pieces_per_hour(orders, folder);
        if (argc > 1) return std::fputs(p.describe().c_str(), stdout), 0;
        auto job = std::move(p).start({.checkpoints = {.folder = folder + "/state", .interval = 0s}});
        for (int i = 0; i < 10; ++i) orders.push({i % 2 ? "nuts" : "bolts", i}, timestamp(life * 1h + i * 1min));
        if (life == 0) {
            job.checkpoint();
            // Pushed, and so safe; but the job ends before it has made anything of it.
            orders.push({"nuts", 100}, timestamp(30min));
        } else {
            orders.close();
            job.wait();
        }
    }
    for (std::ifstream in(folder + "/pieces.txt"); in;)
        if (std::string line; std::getline(in, line)) std::printf("%s\n", line.c_str());
    std::filesystem::remove_all(folder);
}
