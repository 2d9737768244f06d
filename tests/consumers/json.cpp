// Needs runnel::connect: reads "clicks.jsonl" in the current folder.
#include <boost/describe.hpp>
#include <runnel/runnel.hpp>
#include <string>

struct click {
    std::string user;
    int page;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page))

int main() {
    runnel::pipeline p{"pages"};
    p.from(runnel::json_lines<click>("clicks.jsonl")).map(&click::page).to(runnel::print());
    std::move(p).start().wait();
}
