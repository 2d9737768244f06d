#include "commands.hpp"

#include <charconv>
#include <exception>

#include "runnel/core/error.hpp"

namespace runnel::tool {

namespace {

struct command {
    const char* name;
    int (*run)(const std::vector<std::string>& arguments, const surroundings& in);
    const char* arguments;
    const char* does;
};

constexpr command commands[] = {
    {"checkpoints", checkpoints, "FOLDER [ID]",
     "what a job's checkpoints, or a savepoint, hold; verifies all checksums"},
    {"topics", topics, "FOLDER [TOPIC]", "what the topics of a log hold; verifies all that readers may see"},
    {"records", records, "FOLDER TOPIC PARTITION [FROM-OFFSET [COUNT]]", "prints records of a log, a line each"},
    {"repair", repair, "FOLDER TOPIC NEW-FOLDER",
     "copies what can be read of a damaged topic into a new log, and says what is lost"},
};

void print_usage(std::ostream& to) {
    to << "usage: runnel COMMAND ARGUMENTS...\n";
    for (const command& c : commands)
        to << "  runnel " << c.name << " " << c.arguments << "\n      " << c.does << "\n";
    to << "  runnel help, runnel version\n"
          "Changes nothing that is there. Ends with 0 if all is well, 1 if something is damaged or cannot be read, 2 "
          "if asked wrongly.\n";
}

}  // namespace

int run(const std::vector<std::string>& arguments, const surroundings& in) {
    const std::string name = arguments.empty() ? "" : arguments.front();
    if (name == "help" || name == "--help" || name == "-h") {
        print_usage(in.out);
        return all_well;
    }
    if (name == "version" || name == "--version") {
        in.out << "runnel " << in.version << "\n";
        return all_well;
    }
    for (const command& c : commands)
        if (name == c.name) {
            try {
                return c.run({arguments.begin() + 1, arguments.end()}, in);
            } catch (const std::exception& e) {
                in.err << "runnel " << name << ": " << e.what() << "\n";
                return something_is_wrong;
            }
        }
    if (!name.empty()) in.err << "runnel: there is no command " << quoted(name) << "\n";
    print_usage(in.err);
    return wrong_usage;
}

std::optional<std::uint64_t> number_in(const std::string& text) {
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || end != text.data() + text.size()) return {};
    return number;
}

std::string quoted(std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out = "'";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) out.append("\\x") += {digits[byte >> 4], digits[byte & 15]};
        else out += c;
    }
    return out += '\'';
}

std::string grouped(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
    return digits;
}

std::string counted(std::uint64_t number, const std::string& name, const std::string& names) {
    return grouped(number) + " " + (number == 1 ? name : names);
}

}  // namespace runnel::tool
