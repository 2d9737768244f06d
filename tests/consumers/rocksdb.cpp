// Needs runnel::rocksdb: keeps its state in the folder "state".
#include <cstdio>
#include <runnel/connect/rocksdb.hpp>
#include <runnel/graph/pipeline.hpp>
#include <runnel/sink/for_each.hpp>
#include <runnel/source/collection.hpp>
#include <string>
#include <utility>

struct counting {
    using output_type = std::pair<std::string, int>;
    runnel::value_state<int> seen{};
    void open(runnel::state_setup& s) { seen = s.value<int>("seen"); }
    void on_record(const std::string& user, runnel::process_context<output_type>& context) {
        context.emit({user, ++seen.get_or_create()});
    }
};

int main() {
    std::pair<std::string, int> ann, bob;
    runnel::pipeline p{"clicks"};
    p.from(runnel::collection<std::string>({"ann", "bob", "ann"}))
        .key_by([](const std::string& user) { return user; })
        .process(counting{})
        .to(runnel::for_each([&](const counting::output_type& r) { (r.first == "ann" ? ann : bob) = r; }));
    std::move(p).start({.state = runnel::rocksdb_state("state", {.keys_in_memory = 1})}).wait();
    std::printf("%s %d\n%s %d\n", ann.first.c_str(), ann.second, bob.first.c_str(), bob.second);
}
