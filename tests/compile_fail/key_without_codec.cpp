// expect: static assertion failed: key_by: the key type has no codec. Describe it with BOOST_DESCRIBE_STRUCT, or specialise runnel::codec for it
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"

struct click {
    std::string user;
    runnel::timestamp at;
};

struct session {
    std::size_t id;
    bool operator==(const session&) const = default;
};

int main() {
    runnel::pipeline p;
    auto clicks = p.from(runnel::collection<click>({}));
#if defined(GOOD)
    clicks.key_by([](const click& c) { return c.user.size(); });
#elif defined(BAD)
    clicks.key_by([](const click& c) { return session{c.user.size()}; });
#endif
}
