// A program changes between two runs: the first version counts the stamps on each customer's card, and is stopped by
// a savepoint. The second one goes on from there. Its cards know what was spent, too, and count in wider numbers, and
// it has one more operator; the stamps are still on the cards.
//   changed_program [--describe]
#include <atomic>
#include <boost/describe.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "runnel/runnel.hpp"
using namespace std::chrono_literals;

struct purchase {
    std::string user;
    std::int64_t cents = 0;
    runnel::timestamp at;
};
BOOST_DESCRIBE_STRUCT(purchase, (), (user, cents, at))

struct card_1 {
    std::uint32_t stamps = 0;
    std::string stamp(const purchase&) { return std::to_string(++stamps); }
};
BOOST_DESCRIBE_STRUCT(card_1, (), (stamps))
struct card_2 {
    std::int64_t spent = 0;
    std::uint64_t stamps = 0;
    std::string stamp(const purchase& p) {
        return std::to_string(++stamps) + ", spent " + std::to_string(spent += p.cents);
    }
};
BOOST_DESCRIBE_STRUCT(card_2, (), (spent, stamps))

template <class Card>
struct cards {
    using output_type = std::string;
    runnel::value_state<Card> card;
    void open(runnel::state_setup& s) { card = s.value<Card>("card"); }
    void on_record(const purchase& p, runnel::process_context<std::string>& c) {
        c.emit(p.user + " has stamps: " + card.get_or_create().stamp(p));
    }
};

const std::string folder = "changed_program.out", sales = folder + "/sales.csv";
const char* const first_sales = "user,cents,at\nann,500,2026-11-21T10:00:00Z\nbob,250,2026-11-21T10:10:00Z\n";
const char* const more_sales = "ann,150,2026-11-21T11:00:00Z\nbob,300,2026-11-21T11:30:00Z\n";
std::atomic<int> shown = 0;
void show(const std::string& line) { std::puts(line.c_str()), ++shown, shown.notify_all(); }

template <class Card>
runnel::pipeline program(runnel::byte_input input, bool by_hour) {
    runnel::pipeline p{"shop"};
    auto all = p.from(runnel::csv_lines<purchase>(std::move(input))).named("sales");
    auto keyed = all.event_time(&purchase::at, runnel::monotonous()).key_by(&purchase::user);
    keyed.process(cards<Card>{}).named("cards").to(runnel::for_each(&show)).named("show");
    const auto line = [](const auto& r) { return r.key + " spent " + std::to_string(r.value) + " in an hour"; };
    if (by_hour)
        keyed.window(runnel::tumbling(1h).drop_late()).aggregate(runnel::sum(&purchase::cents)).named("by hour")
            .map(line).to(runnel::for_each(&show)).named("show hours");
    return p;
}

int main(int argc, char**) {
    if (argc > 1) return std::puts(program<card_2>(sales, true).describe().c_str()) < 0;
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::ofstream(sales) << first_sales;
    runnel::job job = program<card_1>(runnel::follow_file(sales, {.poll = 5ms}), false)
                          .start({.checkpoints = {.folder = folder + "/first"}});
    for (int n = 0; n < 2; n = shown) shown.wait(n);
    job.stop_with_savepoint(folder + "/savepoint");
    job.wait();
    std::ofstream(sales, std::ios::app) << more_sales;
    program<card_2>(sales, true)
        .start({.checkpoints = {.folder = folder + "/second"}, .restore = folder + "/savepoint"})
        .wait();
}
