#include "runnel/observe/live_page.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "runnel/codec/utf8.hpp"
#include "runnel/core/error.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/generator.hpp"
#include "src/observe/http.hpp"
#include "src/observe/page_site.hpp"
#include "tests/observe/observed_job.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace runnel::observe;
using namespace std::chrono_literals;

namespace {

/// A client that says what it likes.
class client {
public:
    explicit client(std::uint16_t port) {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        const timeval limit{20, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    client(client&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ~client() {
        if (fd_ >= 0) ::close(fd_);
    }
    client& say(std::string_view text) {
        while (!text.empty()) {
            const auto n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
            if (n <= 0) break;  // The server does not want to hear more.
            text.remove_prefix(static_cast<std::size_t>(n));
        }
        return *this;
    }
    client& get(const std::string& target, const std::string& headers = "") {
        return say("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    }
    void say_no_more() { ::shutdown(fd_, SHUT_WR); }
    /// Reads until the text has `what`; false if the connection ends before.
    bool until(std::string_view what) {
        while (text.find(what) == text.npos)
            if (!more()) return false;
        return true;
    }
    /// All that comes until the server closes.
    const std::string& rest() {
        while (more()) continue;
        return text;
    }
    /// The next whole answer, taken out of the text.
    std::string answer(bool has_body = true) {
        if (!until("\r\n\r\n")) return "";
        std::size_t end = text.find("\r\n\r\n") + 4;
        const std::size_t at = text.find("Content-Length: ");
        if (has_body && at < end) {
            end += std::stoul(text.substr(at + 16));
            while (text.size() < end)
                if (!more()) return "";
        }
        const std::string one = text.substr(0, end);
        text.erase(0, end);
        return one;
    }
    std::string text;

private:
    bool more() {
        char block[4096];
        const auto n = ::recv(fd_, block, sizeof block, 0);
        if (n <= 0) return false;
        text.append(block, static_cast<std::size_t>(n));
        return true;
    }
    int fd_;
};

int status_of(const std::string& answer) {
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
}
std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
int get(const live_page& page, const std::string& target, const std::string& headers = "") {
    return status_of(client(page.port()).get(target, headers).answer());
}
int ask(const live_page& page, const std::string& request) {
    return status_of(client(page.port()).say(request).answer());
}
std::string text_of(const live_page& page, const std::string& target) {
    return body_of(client(page.port()).get(target).answer());
}

std::size_t threads() {
    const auto all = std::filesystem::directory_iterator("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Whether the text is one JSON value. Numbers and words are looked at roughly.
bool is_json(std::string_view text) {
    std::size_t i = 0;
    const auto value = [&](const auto& self) -> bool {
        const auto list = [&](char end, bool named) {
            ++i;
            if (i < text.size() && text[i] == end) return ++i, true;
            for (;;) {
                if (named && (!self(self) || i >= text.size() || text[i++] != ':')) return false;
                if (!self(self) || i >= text.size()) return false;
                if (text[i] == end) return ++i, true;
                if (text[i++] != ',') return false;
            }
        };
        if (i >= text.size()) return false;
        if (text[i] == '{') return list('}', true);
        if (text[i] == '[') return list(']', false);
        if (text[i] == '"') {
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                if (static_cast<unsigned char>(text[i]) < 0x20) return false;
                if (text[i] == '\\') ++i;
            }
            return i++ < text.size();
        }
        const std::size_t start = i;
        while (i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '-' ||
                                   text[i] == '+' || text[i] == '.'))
            ++i;
        const std::string word(text.substr(start, i - start));
        if (word == "null" || word == "true" || word == "false") return true;
        return std::regex_match(word, std::regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?"));
    };
    return value(value) && i == text.size();
}

}  // namespace

TEST_CASE("the page is there from the constructor to the destructor, by one thread, on loopback") {
    std::thread([] {}).join();  // Sanitizers begin one of their own with the first.
    const std::size_t before = threads();
    std::uint16_t port = 0;
    {
        live_page page;
        port = page.port();
        CHECK(page.url() == "http://127.0.0.1:" + std::to_string(port) + "/");
        CHECK(threads() == before + 1);
        const std::string answer = client(port).get("/").answer();
        CHECK(status_of(answer) == 200);
        CHECK(answer.find("Content-Type: text/html") != answer.npos);
        CHECK(answer.find("Content-Security-Policy: default-src 'none'") != answer.npos);
        live_page moved = std::move(page);
        CHECK(get(moved, "/page.js") == 200);
        CHECK(get(moved, "/page.css") == 200);
    }
    CHECK(threads() == before);
    live_page again({.port = port});  // The port is free again.
    CHECK(get(again, "/api/jobs") == 200);
    CHECK_THROWS_AS(live_page({.port = port}), io_error);
}

TEST_CASE("nothing is loaded from elsewhere, and nothing is markup but the page itself") {
    live_page page;
    const std::string html = text_of(page, "/"), script = text_of(page, "/page.js"), style = text_of(page, "/page.css");
    for (const std::string& part : {html, script, style}) {
        CHECK(part.find("//cdn") == part.npos);
        CHECK(part.find("@import") == part.npos);
        CHECK(part.find("url(") == part.npos);
        CHECK(is_valid_utf8(part));
    }
    CHECK(script.find("innerHTML") == script.npos);
    CHECK(script.find("eval(") == script.npos);
    CHECK(script.find("document.write") == script.npos);
    CHECK(html.find("http") == html.npos);
}

TEST_CASE("it can only be read: GET and HEAD, known paths, no files") {
    live_page page;
    for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"}) {
        CAPTURE(method);
        const std::string answer =
            client(page.port()).say(std::string(method) + " / HTTP/1.1\r\nHost: localhost\r\n\r\n").answer();
        CHECK(status_of(answer) == 405);
        CHECK(answer.find("\r\nAllow: GET, HEAD\r\n") != answer.npos);
    }
    for (const char* path : {"/etc/passwd", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
                             "/page.js/", "/api", "/api/jobs/", "/index.html", "*", "page.css", "/\\..\\x",
                             "file:///etc/passwd", "/page.js%00.html"}) {
        CAPTURE(path);
        CHECK(get(page, path) == 404);
    }
    client c(page.port());
    c.say("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const std::string head = c.answer(false);
    CHECK(status_of(head) == 200);
    CHECK(head.find("Content-Length: 0") == head.npos);
    c.get("/api/jobs");
    CHECK(body_of(c.answer()) == "{\"jobs\":[]}");  // Nothing of a body came in between.
}

TEST_CASE("only names of this machine are answered to, whatever leads to it") {
    live_page page({.hosts = {"Stream.Example.com"}});
    const auto with_host = [&](const std::string& host) { return ask(page, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); };
    const std::string port = ":" + std::to_string(page.port());
    for (const std::string& host : {"127.0.0.1" + port, "localhost" + port, std::string("LOCALHOST"),
                                    std::string("[::1]:80"), std::string("10.1.2.3"), std::string("stream.example.com:1")})
        CHECK_MESSAGE(with_host(host) == 200, host);
    for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "stream.example.com.evil",
                             "evil.example#localhost", "localhost@evil.example", "127.0.0.1:80:90", "localhost:x",
                             "[::1", "[localhost]", "127.1", "", "1.2.3.4, localhost"})
        CHECK_MESSAGE(with_host(host) == 403, host);
    CHECK(ask(page, "GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(ask(page, "GET / HTTP/1.0\r\n\r\n") == 400);
    CHECK(ask(page, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n") == 400);
}

TEST_CASE("another address than of loopback needs an explicit option and a token") {
    CHECK_THROWS_WITH_AS(live_page({.address = "0.0.0.0"}),
                         "live page: other machines can reach 0.0.0.0. Use 127.0.0.1, or set allow_remote and a token",
                         error);
    CHECK_THROWS_AS(live_page({.address = "0.0.0.0", .allow_remote = true}), error);
    CHECK_THROWS_AS(live_page({.address = "0.0.0.0", .token = "0123456789abcdef"}), error);
    CHECK_THROWS_AS(live_page({.address = "::", .allow_remote = true}), error);
    CHECK_THROWS_AS(live_page({.address = "localhost"}), error);
    CHECK_THROWS_AS(live_page({.address = ""}), error);
    CHECK_THROWS_AS(live_page({.token = "short"}), error);
    CHECK_THROWS_AS(live_page({.token = "0123456789abcdef<script>"}), error);
    CHECK_THROWS_AS(live_page({.interval = 1ms}), error);
    live_page loopback({.address = "127.0.0.2"});
    CHECK(loopback.url().find("//127.0.0.2:") != std::string::npos);
}

TEST_CASE("with a token nothing is shown without it") {
    live_page page({.token = "Abc-0123456789_xyz"});
    CHECK(page.url().ends_with("/?token=Abc-0123456789_xyz"));
    for (const char* path : {"/", "/page.js", "/page.css", "/api/jobs", "/api/events", "/metrics", "/nothing"}) {
        const std::string p = path;
        CHECK(get(page, p) == 401);
        CHECK(get(page, p + "?token=") == 401);
        CHECK(get(page, p + "?token=Abc-0123456789_xy") == 401);
        CHECK(get(page, p + "?token=Abc-0123456789_xyzz") == 401);
        CHECK(get(page, p + "?Token=Abc-0123456789_xyz") == 401);
        CHECK(get(page, p, "Authorization: Bearer wrong\r\n") == 401);
        CHECK(get(page, p, "Authorization: Basic Abc-0123456789_xyz\r\n") == 401);
        const int good = p == "/nothing" ? 404 : 200;
        CHECK(get(page, p + "?token=Abc-0123456789_xyz") == good);
        CHECK(get(page, p + "?a=b&token=Abc-0123456789_xyz&c") == good);
        CHECK(get(page, p, "Authorization: bearer Abc-0123456789_xyz\r\n") == good);
    }
    CHECK(text_of(page, "/?token=Abc-0123456789_xyz").find("page.js?token=Abc-0123456789_xyz\"") != std::string::npos);
}

TEST_CASE("a request line has 8 KB at most, the whole head 16 KB") {
    live_page page;
    const auto line = [](std::size_t n) { return "GET /" + std::string(n - 14, 'a') + " HTTP/1.1"; };
    const std::string host = "\r\nHost: localhost\r\n\r\n";
    CHECK(ask(page, line(8 * 1024) + host) == 404);
    CHECK(ask(page, line(8 * 1024 + 1) + host) == 414);
    CHECK(ask(page, line(100'000) + host) == 414);
    CHECK(ask(page, std::string(100'000, 'x')) == 414);
    const auto with_headers = [&](std::size_t n) {
        return ask(page, "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(n, 'y') + "\r\n\r\n");
    };
    CHECK(with_headers(16'000) == 200);
    CHECK(with_headers(16'384) == 431);
    CHECK(with_headers(200'000) == 431);
    std::string many = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    while (many.size() < 20'000) many += "A: b\r\n";
    CHECK(ask(page, many + "\r\n") == 431);
}

TEST_CASE("what is no request is refused, and so is a body") {
    live_page page;
    for (const std::string& text :
         {std::string("hello\r\n\r\n"), std::string("GET\r\n\r\n"), std::string("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"),
          std::string("GET / FTP/1.1\r\nHost: localhost\r\n\r\n"), std::string("\0\0\0\0\r\n\r\n", 8),
          std::string("GET / HTTP/1.1\r\nHost localhost\r\n\r\n"), std::string("GET / HTTP/1.1\r\n: x\r\n\r\n"),
          std::string("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
          std::string("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
          std::string("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n"),
          std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 13)}) {
        CAPTURE(text);
        CHECK(ask(page, text) == 400);
    }
    CHECK(ask(page, "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello") == 413);
    CHECK(ask(page, "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") == 413);
    // After a refusal the connection ends: nothing behind it is taken for a request.
    client c(page.port());
    c.say("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 46\r\n\r\nGET /api/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
    c.say_no_more();
    CHECK(c.rest().find("\"jobs\"") == std::string::npos);
}

TEST_CASE("requests may come byte by byte, and several at once") {
    live_page page;
    client slow(page.port());
    for (char c : std::string("GET /api/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")) slow.say(std::string(1, c));
    CHECK(status_of(slow.answer()) == 200);
    client eager(page.port());
    eager.get("/api/jobs").get("/nothing").get("/metrics", "Connection: close\r\n");
    CHECK(status_of(eager.answer()) == 200);
    CHECK(status_of(eager.answer()) == 404);
    CHECK(status_of(eager.answer()) == 200);
    CHECK(eager.rest().empty());
}

TEST_CASE("there are 64 connections at most; those that end make room") {
    live_page page;
    {
        std::vector<client> all;
        for (int i = 0; i < 64; ++i) all.emplace_back(page.port()).get("/api/jobs");
        for (client& c : all) CHECK(status_of(c.answer()) == 200);
        client one_more(page.port());
        CHECK(status_of(one_more.answer()) == 503);
        std::vector<client> crowd;
        for (int i = 0; i < 200; ++i) crowd.emplace_back(page.port());
        CHECK(status_of(all[63].get("/metrics").answer()) == 200);  // Those that are served notice nothing.
    }
    for (;;) {
        const int s = get(page, "/api/jobs");
        if (s == 200) break;
        CHECK((s == 503 || s == 0));
    }
}

TEST_CASE("at most half of the connections are for those who watch") {
    live_page page;
    std::vector<client> viewers;
    for (int i = 0; i < 32; ++i) {
        viewers.emplace_back(page.port()).get("/api/events");
        CHECK(viewers.back().until("data: "));
    }
    CHECK(get(page, "/api/events") == 503);
    CHECK(get(page, "/metrics") == 200);
}

TEST_CASE("a client that says nothing, or not enough, is waited for 5 s") {
    live_page page;
    const auto began = std::chrono::steady_clock::now();
    client silent(page.port()), slow(page.port()), kept(page.port());
    slow.say("GET / HTTP/1.1\r\nHost: local");
    kept.get("/api/jobs");
    CHECK(status_of(kept.answer()) == 200);
    CHECK(silent.rest().empty());
    CHECK(slow.rest().empty());
    CHECK(kept.rest().empty());
    const auto took = std::chrono::steady_clock::now() - began;
    CHECK(took >= 4900ms);
    CHECK(took < 15s);
}

TEST_CASE("while nobody looks, jobs are asked nothing") {
    // Who asks for a job's status asks its sinks, too.
    struct asked_sink final : sink<std::uint64_t> {
        explicit asked_sink(std::shared_ptr<std::atomic<int>> a) : asked(std::move(a)) {}
        std::string name() const override { return "asked"; }
        std::string trouble() const override { return ++*asked, std::string(); }
        std::unique_ptr<sink_writer<std::uint64_t>> open(const sink_context&) override {
            struct writer final : sink_writer<std::uint64_t> {
                progress write(batch<std::uint64_t>& records) override {
                    records.consume_until(records.size());
                    return progress::done;
                }
            };
            return std::make_unique<writer>();
        }
        std::shared_ptr<std::atomic<int>> asked;
    };
    const auto asked = std::make_shared<std::atomic<int>>(0);
    live_page page({.interval = 100ms}), watched({.interval = 100ms});
    pipeline p{"unseen"};
    p.from(generate(~std::uint64_t{0}, [](std::uint64_t i) { return i; })).to(asked_sink(asked));
    job j = std::move(p).start();
    page.add(j);
    const int before = *asked;  // For its name.
    // Meanwhile another page tells several times what is new.
    client viewer(watched.port());
    viewer.get("/api/events");
    for (int i = 0; i < 4; ++i) {
        REQUIRE(viewer.until("\n\ndata: "));
        viewer.text.erase(0, viewer.text.find("\n\ndata: ") + 8);
    }
    CHECK(asked->load() == before);
    CHECK(get(page, "/api/jobs") == 200);
    CHECK(asked->load() == before + 1);
}

TEST_CASE("events show what is new, as the same JSON, as long as somebody watches") {
    live_page page({.interval = 100ms});
    std::atomic<std::uint64_t> seen = 0;
    pipeline p{"endless"};
    p.from(generate(~std::uint64_t{0}, [](std::uint64_t i) { return i; })).to(for_each([&](const std::uint64_t&) { ++seen; }));
    job j = std::move(p).start();
    page.add(j);
    client viewer(page.port());
    viewer.get("/api/events");
    std::uint64_t last = 0;
    for (int i = 0; i < 3; ++i) {
        REQUIRE(viewer.until("\n\ndata: "));
        viewer.text.erase(0, viewer.text.find("\n\ndata: ") + 8);
        REQUIRE(viewer.until("\n\n"));
        const std::string event = viewer.text.substr(0, viewer.text.find("\n\n"));
        CHECK(is_json(event));
        const std::uint64_t now = std::stoull(event.substr(event.find("\"records_out\":") + 14));
        CHECK((i == 0 || now > last));
        last = now;
    }
}

TEST_CASE("viewers that go, or don't read, harm nobody; the page may end before they do") {
    std::optional<client> left;
    {
        live_page page({.interval = 100ms});
        std::vector<job> jobs;
        for (int i = 0; i < 20; ++i) jobs.push_back(test::observed_job(std::string(2000, 'n') + std::to_string(i), 10, 1));
        for (const job& j : jobs) page.add(j);
        client deaf(page.port());
        deaf.get("/api/events");
        for (int i = 0; i < 40; ++i) {
            client c(page.port());
            c.get("/api/events");
            if (i % 2 == 0) CHECK(c.until("data: "));
        }
        left.emplace(page.port()).get("/api/events");
        CHECK(left->until("data: "));
        CHECK(get(page, "/metrics") == 200);
    }
    left->rest();
}

TEST_CASE("the JSON tells of operators, event time, bad records and checkpoints; names cannot break out of it") {
    live_page page;
    CHECK(text_of(page, "/api/jobs") == "{\"jobs\":[]}");
    job first = test::observed_job("</script>\"\\\n\xFF", 1000, 2);
    page.add(first);
    first.wait();
    {
        job gone = test::observed_job("gone", 10, 1);
        page.add(gone);
        gone.wait();
    }
    const std::string text = text_of(page, "/api/jobs");
    CHECK(is_json(text));
    CHECK(is_valid_utf8(text));
    CHECK(text.find("\"name\":\"</script>\\\"\\\\\\n\xEF\xBF\xBD\",\"state\":\"finished\"") != text.npos);
    CHECK(text.find("\"name\":\"gone\"") != text.npos);
    CHECK(text.find("\"name\":\"counts\",\"kind\":\"window\"") != text.npos);
    CHECK(text.find("\"why\":\"<b>seven</b>\"") != text.npos);
    CHECK(text.find("\"skipped\":100") != text.npos);
    CHECK(text.find("\"is_ended\":true") != text.npos);
    CHECK(text.find("\"checkpoints\":{\"completed\":0") != text.npos);
    CHECK(text_of(page, "/metrics").find("runnel_errors_total{") != std::string::npos);
}

TEST_CASE("the JSON tells which operators have event time: those whose inputs all have it") {
    const auto numbers = [](std::uint64_t i) { return i; };
    pipeline p{"mixed"};
    const auto timed = p.from(generate(10, numbers)).named("timed").event_time(
        [](const std::uint64_t& i) { return timestamp(static_cast<std::int64_t>(i)); }, monotonous());
    const auto untimed = p.from(generate(10, numbers)).named("untimed");
    timed.map([](std::uint64_t i) { return i; }).named("still timed").to(null_sink()).named("timed out");
    timed.merge(untimed).to(null_sink()).named("mixed out");
    job j = std::move(p).start();
    for (const operator_status& o : j.status().operators)
        CHECK_MESSAGE(o.has_event_time == (o.name != "untimed" && o.name != "mixed out"), o.name);
    live_page page;
    page.add(j);
    j.wait();
    const std::string text = text_of(page, "/api/jobs");
    const auto of = [&](const std::string& name) {
        const std::size_t at = text.find("\"has_event_time\":", text.find("{\"name\":\"" + name + "\""));
        return text.substr(at + 17, 4);
    };
    CHECK(of("timed") == "true");
    CHECK(of("untimed") == "fals");
    CHECK(of("timed out") == "true");
    CHECK(of("mixed out") == "fals");
}

TEST_CASE("whatever bytes come, in whatever pieces, there is an answer or a refusal, and nothing after it") {
    using runnel::observe::detail::http_reader;
    runnel::tests::random_numbers random(1);
    const runnel::observe::detail::page_site site({});
    const std::string good = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const std::vector<std::string> parts{
        "GET ", "HEAD ", "POST ", "/", "/api/jobs", "?token=x", " HTTP/1.1", " HTTP/1.0", "\r\n", "\n", "\r",
        "Host: localhost", "Host: evil", ": ", "Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close",
        "\r\n\r\n", std::string(3000, 'z'), std::string(1, '\0'), "\t ", "Authorization: Bearer x",
        "Upgrade: websocket"};
    int answers = 0, refusals = 0;
    for (int round = 0; round < 3000; ++round) {
        http_reader reader;
        auto state = http_reader::state::incomplete;
        for (std::size_t n = random.below(30); n-- != 0 && state != http_reader::state::refused;) {
            std::string bytes = random.chance(33) ? good : parts[random.below(parts.size())];
            if (random.chance(10)) bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
            for (state = reader.put(bytes); state == http_reader::state::complete; state = reader.put({})) {
                CHECK(site.answer(reader.request()).status >= 200);
                ++answers;
            }
        }
        if (state != http_reader::state::refused) continue;
        ++refusals;
        CHECK(reader.refusal() >= 400);
        CHECK(reader.put(good) == http_reader::state::refused);
    }
    CHECK(answers > 1000);
    CHECK(refusals > 1000);
}
