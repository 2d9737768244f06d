// click_recovery [SECONDS]: counts clicks per user in windows of 10 s, in a process that is killed again and again
// while another one appends the clicks to a file. Each life goes on from the last checkpoint, at another parallelism;
// counts, late and malformed clicks go to files that appear once they are final. In the end they equal what the sender
// has counted.
#include <sys/wait.h>
#include <unistd.h>
#include <boost/describe.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <thread>
#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
namespace fs = std::filesystem;
struct click {
    std::string user, page;
    runnel::timestamp at;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page, at))

/// One life. As long as `growing`, more clicks are waited for; then the file is read to its end.
void count_clicks(const std::string& folder, bool growing, std::size_t parallelism) {
    const std::string path = folder + "/clicks.jsonl";
    runnel::late_output<click> late;
    runnel::dead_letter_output<std::string> bad;
    runnel::pipeline p{"clicks"};
    p.from(runnel::json_lines<click>(growing ? runnel::byte_input(runnel::follow_file(path, {.poll = 20ms}))
                                             : runnel::byte_input(path)))
        .named("clicks")
        .event_time(&click::at, runnel::bounded_out_of_orderness(2s))
        .on_error(bad)
        .key_by(&click::user)
        .window(runnel::tumbling(10s).drop_late().late_to(late))
        .aggregate(runnel::count())
        .named("counts")
        .map([](const runnel::windowed<std::string, std::uint64_t>& r) {
            return std::to_string(r.end.ns() / 1'000'000) + ' ' + r.key + ' ' + std::to_string(r.value);
        })
        .to(runnel::text_files(folder + "/counts")).named("count files");
    late.stream().map([](const auto&) { return "late"; }).to(runnel::text_files(folder + "/late")).named("late files");
    bad.stream().map([](const auto&) { return "bad"; }).to(runnel::text_files(folder + "/bad")).named("bad files");
    std::move(p)
        .start({.parallelism = parallelism, .checkpoints = {.folder = folder + "/checkpoints", .interval = 50ms}})
        .wait();
}

std::vector<std::string> lines_in(const std::string& folder) {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder))
        if (std::ifstream in(entry.path()); entry.path().filename().string()[0] != '.')
            for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
}

int main(int argc, char** argv) try {
    const std::string folder = (fs::temp_directory_path() / ("click_recovery." + std::to_string(getpid()))).string();
    fs::create_directory(folder);
    std::ofstream(folder + "/clicks.jsonl");
    std::mt19937 random(std::random_device{}());
    const std::string sender = fs::path(argv[0]).replace_filename("click_sender").string();
    // It prints how many clicks it has sent, how many of them late and bad, and the counts.
    const std::string seconds = argc > 1 ? argv[1] : "10";
    std::FILE* sending =
        popen((sender + " " + folder + "/clicks.jsonl " + seconds + " > " + folder + "/report").c_str(), "w");
    if (!sending) throw std::runtime_error("click_sender cannot be started");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::stoi(seconds));
    int kills = 0;
    for (bool growing = true; growing;) {
        growing = std::chrono::steady_clock::now() < end;
        if (!growing && pclose(sending) != 0) throw std::runtime_error("click_sender has failed");
        const std::size_t parallelism = 1 + random() % 3;
        const pid_t child = fork();
        if (child == 0) try {
                count_clicks(folder, growing, parallelism);
                _exit(0);
            } catch (const std::exception& e) {
                std::cerr << "click_recovery: " << e.what() << std::endl;
                _exit(1);
            }
        if (growing) std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 500));
        int status = 0;
        if (growing) kill(child, SIGKILL), ++kills;
        if (waitpid(child, &status, 0) != child || (WIFEXITED(status) && WEXITSTATUS(status) != 0)) return 1;
    }
    std::map<std::pair<std::int64_t, std::string>, std::uint64_t> counts;
    std::uint64_t sum = 0;
    for (const std::string& line : lines_in(folder + "/counts")) {
        std::istringstream in(line);
        std::int64_t at; std::string user; std::uint64_t n;
        in >> at >> user >> n;
        if (!counts.emplace(std::pair(at, user), n).second) return std::cout << "twice: " << line << '\n', 1;
        sum += n;
    }
    std::ostringstream counted;
    const std::size_t late = lines_in(folder + "/late").size(), bad = lines_in(folder + "/bad").size();
    counted << "sent " << sum + late + bad << " late " << late << " bad " << bad << '\n';
    for (const auto& [key, n] : counts) counted << key.first << ' ' << key.second << ' ' << n << '\n';
    std::ostringstream said;
    said << std::ifstream(folder + "/report").rdbuf();
    const bool equal = said.str() == counted.str();
    std::cout << "killed " << kills << " times; " << said.str().substr(0, said.str().find('\n'))
              << (equal ? ": all totals equal the sender's\n" : ": totals DIFFER\n");
    if (equal) fs::remove_all(folder);
    return equal ? 0 : 1;
} catch (const std::exception& e) {
    return std::cerr << "click_recovery: " << e.what() << '\n', 1;
}
