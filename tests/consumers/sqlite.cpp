// Needs runnel::sqlite: writes "clicks.db" in the current folder.
#include <boost/describe.hpp>
#include <cstdio>
#include <filesystem>
#include <runnel/connect/sqlite.hpp>
#include <runnel/graph/pipeline.hpp>
#include <runnel/source/collection.hpp>
#include <string>

struct click {
    std::string user;
    int page;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page))

int main() {
    runnel::pipeline p{"clicks"};
    p.from(runnel::collection<click>({{"ann", 7}, {"bob", 8}}))
        .to(runnel::sqlite_table("clicks.db", "clicks", {.key = {"user"}}));
    std::move(p).start().wait();
    std::puts(std::filesystem::exists("clicks.db") ? "stored" : "nothing");
}
