#include <algorithm>
#include <limits>

#include "commands.hpp"
#include "runnel/log/log_error.hpp"
#include "runnel/log/log_folder.hpp"
#include "runnel/log/log_repair.hpp"

namespace runnel::tool {

namespace {

/// Reads a partition as far as readers may see, and says what it holds.
void print_partition(const log_topic& topic, std::size_t partition, std::ostream& out) {
    const std::uint64_t first = topic.first_offset(partition), end = topic.end_offset(partition);
    log_reader reader = topic.reader(partition);
    std::uint64_t count = 0, bytes = 0;
    timestamp earliest = timestamp::max(), latest = timestamp::min();
    // Of a log that grows meanwhile, what was there at the beginning.
    while (reader.position() < end) {
        const log_record* r = reader.next();
        if (!r) break;
        ++count;
        bytes += r->key.value_or("").size() + r->value.value_or("").size();
        earliest = std::min(earliest, r->time);
        latest = std::max(latest, r->time);
    }
    out << "offsets " << grouped(first) << " to " << grouped(end) << ", " << counted(count, "record", "records");
    if (count != 0)
        out << ", " << counted(bytes, "byte", "bytes") << " of keys and values, times " << to_string(earliest) << " to "
            << to_string(latest);
    if (reader.position() < end)
        out << ", undecided from offset " << grouped(reader.position()) << " on: verified up to there\n";
    else out << ": verified\n";
}

}  // namespace

int topics(const std::vector<std::string>& arguments, const surroundings& in) {
    if (arguments.empty() || arguments.size() > 2) {
        in.err << "usage: runnel topics FOLDER [TOPIC]\n";
        return wrong_usage;
    }
    log_folder log(arguments[0], {.files = &in.files});
    const std::vector<std::string> names = arguments.size() == 2 ? std::vector{arguments[1]} : log.topics();
    std::uint64_t unreadable = 0;
    const auto attempt = [&](auto f) {
        try {
            f();
        } catch (const error& e) {
            ++unreadable;
            in.out << "CANNOT BE READ: " << e.what() << "\n";
        }
    };
    for (const std::string& name : names)
        attempt([&] {
            in.out << "topic " << quoted(name) << ", ";
            const log_topic topic = log.topic(name);
            in.out << counted(topic.partitions(), "partition", "partitions") << "\n";
            for (std::size_t i = 0; i < topic.partitions(); ++i) {
                in.out << "  " << i << ": ";
                attempt([&] { print_partition(topic, i, in.out); });
            }
        });
    if (names.empty()) in.out << "there is no topic in \"" << arguments[0] << "\"\n";
    return names.empty() || unreadable != 0 ? something_is_wrong : all_well;
}

int records(const std::vector<std::string>& arguments, const surroundings& in) {
    std::vector<std::uint64_t> numbers;
    for (std::size_t i = 2; i < arguments.size(); ++i)
        if (const auto n = number_in(arguments[i])) numbers.push_back(*n);
    if (arguments.size() < 3 || arguments.size() > 5 || numbers.size() != arguments.size() - 2) {
        in.err << "usage: runnel records FOLDER TOPIC PARTITION [FROM-OFFSET [COUNT]]\n";
        return wrong_usage;
    }
    const log_topic topic = log_folder(arguments[0], {.files = &in.files}).topic(arguments[1]);
    log_reader reader = topic.reader(static_cast<std::size_t>(numbers[0]),
                                     numbers.size() > 1 ? log_place::offset(numbers[1]) : log_place::beginning());
    std::uint64_t left = numbers.size() > 2 ? numbers[2] : std::numeric_limits<std::uint64_t>::max();
    for (; left != 0 && in.out; --left) {
        const log_record* r = reader.next();
        if (!r) break;
        in.out << r->offset << " " << to_string(r->time) << " " << (r->key ? quoted(*r->key) : "without-key") << " "
               << (r->value ? quoted(*r->value) : "deleted");
        for (const log_header& h : r->headers) in.out << " " << quoted(h.name) << "=" << quoted(h.value);
        in.out << "\n";
    }
    return all_well;
}

int repair(const std::vector<std::string>& arguments, const surroundings& in) {
    if (arguments.size() != 3) {
        in.err << "usage: runnel repair FOLDER TOPIC NEW-FOLDER\n";
        return wrong_usage;
    }
    const log_repair done = repair_topic({.files = &in.files}, arguments[0], arguments[1], arguments[2]);
    in.out << "topic " << quoted(arguments[1]) << ", " << counted(done.partitions, "partition", "partitions")
           << ", copied to \"" << arguments[2] << "\": " << counted(done.records, "record", "records") << ", "
           << counted(done.bytes, "byte", "bytes") << " of keys and values";
    if (done.undecided != 0)
        in.out << "; " << counted(done.undecided, "undecided transaction", "undecided transactions")
               << " moved to the end";
    in.out << "\n";
    for (const log_loss& l : done.lost) {
        in.out << "  LOST in partition " << l.partition << ": ";
        if (l.first == l.end) in.out << "no known offset";
        else if (l.end - l.first == 1) in.out << "offset " << grouped(l.first);
        else in.out << "offsets " << grouped(l.first) << " to " << grouped(l.end - 1);
        in.out << ", " << counted(l.bytes, "byte", "bytes") << " at byte " << l.position << " of \"" << l.file
               << "\": " << l.what << "\n";
    }
    if (done.lost.empty()) in.out << "  nothing is lost\n";
    return done.lost.empty() ? all_well : something_is_wrong;
}

}  // namespace runnel::tool
