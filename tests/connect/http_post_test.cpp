#include "runnel/connect/http_post.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <cerrno>
#include <deque>

#include "runnel/connect/json_lines.hpp"
#include "runnel/core/error.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/watermarks.hpp"
#include "tests/connect/drive.hpp"
#include "tests/connect/http_server.hpp"
#include "tests/connect/sink_driver.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"

namespace {

struct alert {
    std::string what;
    int n = 0;
    friend bool operator==(const alert&, const alert&) = default;
};
BOOST_DESCRIBE_STRUCT(alert, (), (what, n))

}  // namespace

using namespace runnel;
using namespace std::chrono_literals;
using test::http_answer;
using test::http_server;
using strings = std::vector<std::string>;

namespace {

/// Posts one record and gives the error's text; "" if there is none.
std::string failure(http_server& server, http_post_options options = {}, int code = 0) {
    auto to = http_post(server.url("/in?key=secret"), options).bind<alert>();
    test::sink_driver<alert> d(*to);
    try {
        d.write({{"a", 1}});
        d.finish();
    } catch (const record_error& e) {
        CHECK(e.record_time() == timestamp(1));
        try {
            std::rethrow_exception(e.cause());
        } catch (const io_error& cause) {
            CHECK(cause.code() == code);
        }
        std::string text = e.what();
        if (const std::size_t at = text.find(server.url()); at != text.npos) text.replace(at, server.url().size(), "URL");
        return text;
    }
    return "";
}

strings problems(const std::string& url, const http_post_options& options = {}) {
    return http_post(url, options).bind<alert>()->problems();
}

}  // namespace

TEST_CASE("a request holds up to max_records as a JSON array, and what is left goes when the input runs empty") {
    http_server server;
    auto to = http_post(server.url("/in?x=1"), {.max_records = 2, .headers = {{"Authorization", "Bearer abc"}}})
                  .bind<alert>();
    test::sink_driver<alert> d(*to);
    d.write({{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}});
    d.finish();
    CHECK(server.bodies() == strings{R"([{"what":"a","n":1},{"what":"b","n":2}])",
                                     R"([{"what":"c","n":3},{"what":"d","n":4}])", R"([{"what":"e","n":5}])"});
    const std::string head = server.requests()[0].head;
    CHECK(head.starts_with("POST /in?x=1 HTTP/1.1\r\n"));
    CHECK(head.find("\r\nHost: " + server.url("").substr(7) + "\r\n") != head.npos);
    CHECK(head.find("\r\nContent-Type: application/json\r\n") != head.npos);
    CHECK(head.find("\r\nAuthorization: Bearer abc\r\n") != head.npos);
    CHECK(server.connections() == 1);
    CHECK(to->name() == "http_post " + server.url("/in"));
    CHECK(to->max_parallelism() > 1'000);
}

TEST_CASE("a checkpoint waits for the answer to what would not come again after it") {
    http_server server;
    auto to = http_post(server.url("/in")).bind<alert>();
    test::sink_driver<alert> d(*to);
    d.write({{"a", 1}});
    d.flush();
    d.write({{"b", 2}});
    d.settle();
    strings bodies = server.bodies();
    CHECK((bodies == strings{R"([{"what":"a","n":1}])", R"([{"what":"b","n":2}])"}));
    d.write({{"c", 3}});
    d.settle();
    CHECK(server.bodies().size() == 3);
}

TEST_CASE("JSON lines, and a content type of the user's own") {
    http_server server;
    auto to = http_post(server.url(), {.body = http_body::json_lines, .headers = {{"content-type", "text/x"}}})
                  .bind<alert>();
    test::sink_driver<alert> d(*to);
    d.write({{"a", 1}, {"b", 2}});
    d.finish();
    CHECK(server.bodies() == strings{"{\"what\":\"a\",\"n\":1}\n{\"what\":\"b\",\"n\":2}\n"});
    const std::string head = server.requests()[0].head;
    CHECK(head.find("text/x") != head.npos);
    CHECK(head.find("application/") == head.npos);
}

TEST_CASE("records gather while a request is under way, and its end sends them") {
    http_server server;
    auto to = http_post(server.url()).bind<alert>();
    test::sink_driver<alert> d(*to);
    d.write({{"a", 1}});
    d.flush();
    d.write({{"b", 2}});
    d.write({{"c", 3}});
    d.idle();
    d.idle();
    CHECK(server.bodies().size() == 2);
    CHECK(server.bodies()[1] == R"([{"what":"b","n":2},{"what":"c","n":3}])");
    d.finish();
    CHECK(server.bodies().size() == 2);
}

TEST_CASE("nothing is sent for no records") {
    http_server server;
    auto to = http_post(server.url()).bind<alert>();
    test::sink_driver<alert> d(*to);
    d.flush();
    d.finish();
    CHECK(server.requests().empty());
    CHECK(server.connections() == 0);
}

TEST_CASE("max_bytes sends a body with fewer records, and a larger record alone") {
    http_server server;
    auto to = http_post(server.url(), {.max_bytes = 50}).bind<alert>();
    test::sink_driver<alert> d(*to);
    d.write({{std::string(100, 'x'), 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}});
    d.finish();
    const strings bodies = server.bodies();
    REQUIRE(bodies.size() == 3);
    CHECK(bodies[0].size() > 100);
    CHECK(bodies[1] == R"([{"what":"b","n":2},{"what":"c","n":3},{"what":"d","n":4}])");
}

TEST_CASE("5xx is tried again with a backoff that doubles, on the same connection, until it is taken") {
    http_server server({http_answer(500, "oops"), http_answer(503), http_answer(502)});
    auto to = http_post(server.url(), {.backoff = 100ms, .max_backoff = 250ms}).bind<alert>();
    test::sink_driver<alert> d(*to);
    strings told;
    d.waiting = [&] { told.push_back(to->trouble()); };
    CHECK(to->trouble().empty());
    d.write({{"a", 1}});
    d.finish();
    CHECK(to->trouble().empty());
    REQUIRE(told.size() == 3);
    CHECK(told[0].ends_with(", tried once: the server answered 500 Internal Server Error: \"oops\""));
    CHECK(told[2].ends_with(", tried 3 times: the server answered 502 Bad Gateway"));
    CHECK(d.waits() == std::vector<duration>{100ms, 200ms, 250ms});
    CHECK(server.bodies() == strings(4, R"([{"what":"a","n":1}])"));
    CHECK(server.connections() == 1);
    // The next request begins with the first backoff again.
    d.close();
}

TEST_CASE("429 and 503 are tried again when Retry-After says, in seconds or by date") {
    // The driver's clock begins at 2001-09-09T01:46:40Z.
    http_server server({http_answer(429, "", "Retry-After: 7\r\n"),
                        http_answer(503, "", "Retry-After: Sun, 09 Sep 2001 01:47:00 GMT\r\n"),
                        http_answer(429, "", "Retry-After: Sun, 09 Sep 2001 01:46:00 GMT\r\n"),
                        http_answer(429, "", "Retry-After: soon\r\n"), http_answer(429)});
    auto to = http_post(server.url(), {.backoff = 100ms}).bind<alert>();
    test::sink_driver<alert> d(*to);
    d.write({{"a", 1}});
    d.finish();
    CHECK(d.waits() == std::vector<duration>{7s, 13s, 0s, 800ms, 1600ms});
}

TEST_CASE("a server that asks for a longer wait than is allowed ends the job") {
    for (const char* after : {"601", "99999999999999999999"}) {
        http_server server({http_answer(429, "slow down", "Retry-After: " + std::string(after) + "\r\n")});
        CHECK(failure(server).starts_with("cannot post 1 record to URL: the server answered 429 Too Many Requests: "
                                          "\"slow down\". It asks to wait "));
        CHECK(server.requests().size() == 1);
    }
}

TEST_CASE("another answer ends the job with the status and what the server says, and is not tried again") {
    const std::string end = ". Such an answer stays the same when it is asked again";
    {
        http_server server({http_answer(400, "no such field: \"n\"\n\x01\xff")});
        CHECK(failure(server) ==
              "cannot post 1 record to URL: the server answered 400 Bad Request: \"no such field: \"n\"  ?\"" + end);
        CHECK(server.requests().size() == 1);
    }
    {
        http_server server({http_answer(404, std::string(1000, 'x'))});
        CHECK(failure(server) == "cannot post 1 record to URL: the server answered 404 Not Found: \"" +
                                     std::string(200, 'x') + "...\"" + end);
    }
    {
        http_server server({http_answer(302, "", "Location: /other\r\n")});
        CHECK(failure(server) == "cannot post 1 record to URL: the server answered 302 Found" + end);
    }
    {
        http_server server({http_answer(799)});
        CHECK(failure(server) == "cannot post 1 record to URL: the server answered 799" + end);
    }
}

TEST_CASE("a server that refuses before it has read the body is understood") {
    http_server server({{.bytes = http_answer(401, "who are you?").bytes, .unread_body = true}});
    auto to = http_post(server.url(), {.max_records = 1'000'000, .max_bytes = 64 << 20, .retries = 0}).bind<alert>();
    test::sink_driver<alert> d(*to);
    d.write({{std::string(32 << 20, 'x'), 1}});
    // The connection may be reset before the answer is seen; then that is the reason.
    try {
        d.finish();
        FAIL("no error");
    } catch (const record_error& e) {
        const std::string text = e.what();
        CHECK((text.find("401 Unauthorized: \"who are you?\"") != text.npos || text.find("reset") != text.npos ||
               text.find("Broken pipe") != text.npos));
    }
}

TEST_CASE("when the attempts are used up, the last reason is the error") {
    http_server server({http_answer(500, "a"), http_answer(500, "b"), http_answer(500, "c"), http_answer(200)});
    CHECK(failure(server, {.retries = 2}) ==
          "cannot post 1 record to URL, tried 3 times: the server answered 500 Internal Server Error: \"c\"");
    CHECK(server.requests().size() == 3);
}

TEST_CASE("a refused connection is tried again, and named in the end") {
    std::string url;
    { url = http_server().url(); }
    auto to = http_post(url, {.retries = 2, .backoff = 10ms}).bind<alert>();
    test::sink_driver<alert> d(*to);
    d.write({{"a", 1}, {"b", 2}});
    try {
        d.finish();
        FAIL("no error");
    } catch (const record_error& e) {
        CHECK(e.what() == "cannot post 2 records to " + url + ", tried 3 times: Connection refused");
    }
    CHECK(d.waits() == std::vector<duration>{10ms, 20ms});
}

TEST_CASE("a server that closes at once, midway or answers something else is asked again") {
    const std::string whole = http_answer(200, "all is well").bytes;
    for (const std::string& bytes :
         {std::string(), whole.substr(0, 5), whole.substr(0, 20), whole.substr(0, whole.size() - 3),
          std::string("SSH-2.0-OpenSSH_9.2\r\n"), std::string(100'000, 'x'), std::string("HTTP/1.1 200 OK\r\n") +
              "Content-Length: nonsense\r\n\r\n", std::string("HTTP/1.1 999999 OK\r\n\r\n"),
          "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"}) {
        CAPTURE(bytes.substr(0, 40));
        http_server server({{.bytes = bytes, .close = true}, {.bytes = bytes, .close = true}});
        CHECK(failure(server) == "");
        CHECK(server.bodies() == strings(3, R"([{"what":"a","n":1}])"));
        CHECK(server.connections() == 3);
        http_server never(std::deque<test::http_reply>(2, {.bytes = bytes, .close = true}));
        CHECK(failure(never, {.retries = 1}).starts_with("cannot post 1 record to URL, tried 2 times: "));
    }
}

TEST_CASE("a server that stays silent is given up after the time-out, and asked again") {
    http_server server({{.bytes = "", .silent = true}, {.bytes = "", .silent = true}});
    CHECK(failure(server, {.timeout = 50ms}) == "");
    CHECK(server.requests().size() == 3);
    http_server silent({{.bytes = "", .silent = true}});
    CHECK(failure(silent, {.timeout = 50ms, .retries = 0}) ==
          "cannot post 1 record to URL, tried once: no answer within 50 ms");
}

TEST_CASE("a huge answer is not read, and its status counts") {
    const std::string huge(10 << 20, 'x');
    http_server server({http_answer(200, huge), http_answer(400, huge)});
    CHECK(failure(server) == "");
    const std::string text = failure(server);
    CHECK(text.starts_with("cannot post 1 record to URL: the server answered 400 Bad Request"));
    CHECK(text.size() < 500);
    CHECK(server.connections() == 2);
    http_server endless({{.bytes = "HTTP/1.1 200 OK\r\n\r\n" + huge, .close = true}});
    CHECK(failure(endless) == "");
    CHECK(endless.requests().size() == 1);
}

TEST_CASE("a connection that the server has closed meanwhile is opened again, which is no failed attempt") {
    http_server server({{.bytes = http_answer(200).bytes, .close = true},
                        {.bytes = http_answer(200, "", "Connection: close\r\n").bytes, .close = true},
                        {.bytes = "HTTP/1.1 100 Continue\r\n\r\n" + http_answer(204).bytes}});
    auto to = http_post(server.url(), {.retries = 0}).bind<alert>();
    test::sink_driver<alert> d(*to);
    for (int i = 0; i < 4; ++i) {
        d.write({{"a", i}});
        d.flush();
        d.idle();
    }
    d.finish();
    CHECK(server.requests().size() == 4);
    CHECK(server.connections() == 3);
    CHECK(d.waits().empty());
}

TEST_CASE("a sink that goes while a request is under way, waits to be tried again or has failed ends at once") {
    {
        http_server server({{.bytes = "", .silent = true}});
        auto to = http_post(server.url()).bind<alert>();
        test::sink_driver<alert> d(*to);
        d.write({{"a", 1}});
        d.flush();
        d.close();
    }
    {
        http_server server({http_answer(500)});
        auto to = http_post(server.url()).bind<alert>();
        auto writer = to->open({});
        batch<alert> b;
        b.append({"a", 1}, {});
        (void)writer->write(b);
        (void)writer->flush();
    }
}

TEST_CASE("an address that cannot be used is a problem before the job starts, and no secret is shown") {
    const std::string http = std::string("http") + "://";
    for (const char* good : {"a", "a/", "a:80", "[::1]:8080/x", "a?x=1", "[::1]", "a.b-c/d/e?f=g#h"})
        CHECK(problems(http + good).empty());
    CHECK(problems("https://example.com/b?key=secret") ==
          strings{"\"https://example.com/b\": https is not offered, since there is no TLS here. Post to a proxy on this "
                  "machine that speaks TLS, or write a sink of your own"});
    for (const char* bad : {"", "/x", ":80", "a:", "a:0", "a:65536", "a:8x", "a:-1", "[::1", "[::1]x", "a b", "\xc3\xa4",
                            "a/\r\nX: y", "user:secret@a/"}) {
        CAPTURE(bad);
        const strings found = problems(http + bad);
        REQUIRE(found.size() == 1);
        CHECK(found[0].find("secret") == std::string::npos);
    }
    for (const char* bad : {"", "a", "ftp:/" "/a", "http:/a"}) CHECK(problems(bad).size() == 1);
    CHECK(http_post(http + "user:secret@a/?key=secret").bind<alert>()->name() == "http_post " + http + "a");
}

TEST_CASE("options that make no sense are all reported, and the values of headers are not shown") {
    const strings found = problems("http://localhost", {.max_records = 0,
                                                        .headers = {{"", "x"},
                                                                    {"a b", "x"},
                                                                    {"X", "secret\r\nY: z"},
                                                                    {"content-length", "5"},
                                                                    {"Host", "x"}},
                                                        .timeout = 0ms,
                                                        .backoff = 2s,
                                                        .max_backoff = 1s});
    CHECK(found.size() == 8);
    for (const std::string& problem : found) CHECK(problem.find("secret") == std::string::npos);
}

TEST_CASE("a job that cannot deliver ends with the sink's name and the time of the request's first record") {
    http_server server({http_answer(422, "bad alert")});
    pipeline p;
    p.from(timed_collection<alert>({{{"a", 1}, timestamp(1s)}, {{"b", 2}, timestamp(2s)}}))
        .event_time(monotonous())
        .to(http_post(server.url()))
        .named("alerts");
    try {
        std::move(p).start().wait();
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "alerts");
        CHECK(e.record_time() == timestamp(1s));
        CHECK_THROWS_AS(std::rethrow_if_nested(e), io_error);
    }
}

TEST_CASE("what the server has got is what went in, in order, whatever the batches, limits and failures") {
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        std::deque<test::http_reply> script;
        std::vector<bool> taken;
        const bool array = random.chance(30);
        for (int i = 0; i < 30; ++i) {
            switch (random.below(6)) {
                case 0: script.push_back(http_answer(500, "x")); break;
                case 1: script.push_back(http_answer(429, "", "Retry-After: 3\r\n")); break;
                case 2: script.push_back({.bytes = http_answer(200).bytes, .close = random.chance(50)}); break;
                case 3: script.push_back({.bytes = "", .close = true}); break;
                default: script.push_back(http_answer(200, "fine"));
            }
            taken.push_back(script.back().bytes.starts_with("HTTP/1.1 200"));
        }
        http_server server(script);
        std::vector<alert> wanted;
        auto to = http_post(server.url(), {.body = array ? http_body::json_array : http_body::json_lines,
                                           .max_records = 1 + random.below(5),
                                           .max_bytes = 1 + random.below(500),
                                           .retries = 40})
                      .bind<alert>();
        test::sink_driver<alert> d(*to);
        for (std::size_t batches = random.below(12); batches != 0; --batches) {
            std::vector<alert> b;
            for (std::size_t n = random.below(12); n != 0; --n)
                b.push_back({std::string(random.below(40), "a,\"\\]"[random.below(5)]), static_cast<int>(wanted.size() + b.size())});
            wanted.insert(wanted.end(), b.begin(), b.end());
            d.write(std::move(b));
            if (random.chance(50)) d.flush();
        }
        d.finish();
        const strings bodies = server.bodies();
        std::string lines;
        std::vector<alert> got;
        for (std::size_t i = 0; i < bodies.size(); ++i) {
            if (i < taken.size() && !taken[i]) continue;
            if (!array) {
                lines += bodies[i];
                continue;
            }
            std::vector<alert> some;
            json_decoder<std::vector<alert>>().decode(bodies[i], some);
            got.insert(got.end(), some.begin(), some.end());
        }
        if (!array) {
            const test::temporary_folder folder;
            auto source = json_lines<alert>(folder.write("lines", lines));
            test::driver<alert> reader(source);
            reader.run();
            got = reader.values;
        }
        CHECK(got == wanted);
    }
}
