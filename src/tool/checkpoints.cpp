#include <algorithm>

#include "commands.hpp"
#include "runnel/checkpoint/checkpoint_store.hpp"

namespace runnel::tool {

namespace {

void print(const checkpoint_info& c, std::ostream& out) {
    out << (c.is_savepoint ? "savepoint " : "checkpoint ") << c.id << " of job " << quoted(c.job) << ", taken "
        << to_string(c.taken) << ", " << counted(c.key_groups, "key group", "key groups") << ", "
        << counted(c.bytes, "byte", "bytes");
    if (c.new_bytes != c.bytes) out << ", " << grouped(c.new_bytes) << " of them new";
    out << "\n";
    for (const saved_operator_info& o : c.operators) {
        out << "  " << quoted(o.name);
        if (!o.kind.empty()) out << " (" << quoted(o.kind) << ")";
        out << ", parallelism " << grouped(o.parallelism) << (o.states.empty() ? ", no state" : "") << "\n";
        for (const saved_state_info& s : o.states)
            out << "    " << quoted(s.name) << ", "
                << (s.keyed ? "keyed, " + (s.keys ? counted(*s.keys, "key", "keys") + " in " : "") +
                                  counted(s.parts, "key group", "key groups")
                            : "local, " + counted(s.parts, "entry", "entries"))
                << ", " << counted(s.bytes, "byte", "bytes") << "\n";
    }
}

}  // namespace

int checkpoints(const std::vector<std::string>& arguments, const surroundings& in) {
    const auto wanted = arguments.size() == 2 ? number_in(arguments[1]) : std::nullopt;
    if (arguments.empty() || arguments.size() > 2 || (arguments.size() == 2 && !wanted)) {
        in.err << "usage: runnel checkpoints FOLDER [ID]\n";
        return wrong_usage;
    }
    const std::string& folder = arguments[0];
    std::vector<checkpoint_info> list = list_checkpoints(in.files, folder);
    if (wanted) {
        std::erase_if(list, [&](const checkpoint_info& c) { return c.id != *wanted; });
        // Says which there are.
        if (list.empty()) verify_checkpoint(in.files, folder, *wanted);
    }
    std::uint64_t damaged = 0;
    for (const checkpoint_info& c : list) {
        std::string damage = c.damage;
        if (damage.empty()) {
            try {
                verify_checkpoint(in.files, folder, c.id);
            } catch (const error& e) {
                damage = e.what();
                // A job that is running may have removed it meanwhile.
                const auto there = list_checkpoints(in.files, folder);
                if (std::none_of(there.begin(), there.end(), [&](const auto& other) { return other.id == c.id; }))
                    continue;
            }
            print(c, in.out);
        } else {
            in.out << "checkpoint " << c.id << "\n";
        }
        damaged += !damage.empty();
        in.out << (damage.empty() ? "  verified" : "  CANNOT BE RESTORED: " + damage) << "\n";
    }
    if (list.empty()) in.out << "there is no complete checkpoint or savepoint in \"" << folder << "\"\n";
    else if (damaged != 0) in.out << damaged << " of " << list.size() << " cannot be restored\n";
    return list.empty() || damaged != 0 ? something_is_wrong : all_well;
}

}  // namespace runnel::tool
