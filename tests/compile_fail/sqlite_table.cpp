// expect: static assertion failed: runnel: sqlite_table: a row is made from the members of a struct. Describe it with BOOST_DESCRIBE_STRUCT.
#include <boost/describe.hpp>

#include "runnel/connect/sqlite.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"

struct click {
    int page;
};
#if defined(GOOD)
BOOST_DESCRIBE_STRUCT(click, (), (page))
#endif

int main() {
    runnel::pipeline p;
#if defined(GOOD) || defined(BAD)
    p.from(runnel::collection<click>({})).to(runnel::sqlite_table("clicks.db", "clicks"));
#endif
}
