#include "runnel/plan/placement.hpp"

namespace runnel::plan {

std::string_view placement::text() const noexcept {
    switch (by) {
        case rule::forward: return "forward";
        case rule::by_key: return "by key";
        case rule::rebalance: return "rebalance";
        case rule::broadcast: return "broadcast";
        case rule::custom: return "custom";
    }
    return "?";
}

}  // namespace runnel::plan
