// Chat reactions, pushed by the host program: its threads hand over each reaction as it happens, and are told once a
// second of event time which emoji lead. The job runs beside the host's work and ends when the host closes the inlet.
//   chat_reactions [--describe]
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct reaction {
    std::string room, emoji;
};

int main(int argc, char**) {
    runnel::inlet<reaction> reactions({.capacity = 1000});  // when the job is behind, push() waits
    runnel::pipeline p{"chat_reactions"};
    p.from(reactions)
        .event_time(runnel::bounded_out_of_orderness(2s))  // at the times that are pushed along
        .key_by([](const reaction& r) { return std::pair(r.room, r.emoji); })
        .window(runnel::tumbling(1s).drop_late())
        .aggregate(runnel::count())
        .map([](const auto& w) { return std::tuple(w.key.first, w.value, w.key.second); })
        .filter([](const auto& of_room) { return std::get<1>(of_room) >= 10; })
        .to(runnel::for_each([](const auto& of_room, timestamp at) {
            const auto& [room, count, emoji] = of_room;
            std::printf("%s %s: %s x %d\n", to_string(at).substr(11, 8).c_str(), room.c_str(), emoji.c_str(),
                        static_cast<int>(count));
        }));
    if (argc > 1) return std::puts(p.describe(2).c_str()) < 0;
    runnel::job job = std::move(p).start({.parallelism = 1});

    std::vector<std::thread> users;  // of the host; any thread may push
    for (int user = 0; user < 4; ++user)
        users.emplace_back([user, reactions]() mutable {
            for (int i = 0; i < 20; ++i) {
                const timestamp at(std::chrono::milliseconds(i * 100 + user));
                reactions.push({"lobby", user < 3 ? "thumbs up" : "heart"}, at);
            }
        });
    for (std::thread& t : users) t.join();
    reactions.close();
    job.wait();
}
