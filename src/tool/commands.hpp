#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/core/file_system.hpp"

namespace runnel::tool {

/// Where a command reads from and writes to, and the version of the program.
struct surroundings {
    std::string version;
    file_system& files;
    std::ostream& out;
    std::ostream& err;
};

/// What the program ends with.
enum exit_code : int {
    all_well = 0,
    something_is_wrong = 1,
    wrong_usage = 2,
};

/// `runnel ARGUMENTS...`: finds the command and runs it; errors are written to `err`.
int run(const std::vector<std::string>& arguments, const surroundings& in);

/// `runnel checkpoints FOLDER [ID]`: says what the checkpoints of a job, or a savepoint, hold, and verifies them.
int checkpoints(const std::vector<std::string>& arguments, const surroundings& in);

/// `runnel topics FOLDER [TOPIC]`: says what the topics of a log hold, and verifies them.
int topics(const std::vector<std::string>& arguments, const surroundings& in);
/// `runnel records FOLDER TOPIC PARTITION [FROM [COUNT]]`: prints records, a line each.
int records(const std::vector<std::string>& arguments, const surroundings& in);
/// `runnel repair FOLDER TOPIC NEW-FOLDER`: copies what can be read of a topic, and says what is lost.
int repair(const std::vector<std::string>& arguments, const surroundings& in);

/// The number that the text is, all of it.
std::optional<std::uint64_t> number_in(const std::string& text);
/// The text in quotes, with what would upset a terminal as "\xNN".
std::string quoted(std::string_view text);
/// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number);
/// "1 name", or "N names".
std::string counted(std::uint64_t number, const std::string& name, const std::string& names);

}  // namespace runnel::tool
