#include "runnel/state/saved_keyed_state.hpp"

#include <set>

namespace runnel::detail {

namespace {

void add(std::string& list, std::string_view name) { list.append(list.empty() ? "'" : ", '").append(name) += '\''; }

}  // namespace

const operator_snapshot& state_of_operator(const checkpoint& c, const std::string& name) {
    std::string there;
    for (const saved_operator& o : c.operators) {
        if (o.name == name) return o.state;
        add(there, o.name);
    }
    throw checkpoint_error("checkpoint " + std::to_string(c.id) + " has no operator '" + name + "', but " +
                           (there.empty() ? "none at all" : there) + ". Name one that is there");
}

void check_saved_state(const operator_snapshot& s, const std::string& operator_name, std::string_view name) {
    std::set<std::string> names;
    snapshot_reader(s, {}).local("declared", [&](std::string_view bytes) {
        for (byte_reader in(bytes); !in.empty();) {
            names.insert(codec<std::string>::decode(in));
            codec<std::string>::decode(in);  // its kind
        }
    });
    if (names.contains(std::string(name))) return;
    std::string there;
    for (const std::string& other : names) add(there, other);
    throw checkpoint_error("operator '" + operator_name + "' has no keyed state '" + std::string(name) + "', but " +
                           (there.empty() ? "none of a process function" : there) + ". Name one that is there");
}

void fail_undecodable(const std::string& operator_name, const std::string& why) {
    throw checkpoint_error("the keyed state of operator '" + operator_name +
                           "' is not of the types of key and state that were given: " + why +
                           ". Give those that the function has");
}

}  // namespace runnel::detail
