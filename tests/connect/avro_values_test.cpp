// Values with a schema registry's number in front. The registry here answers as its documentation says.
#include <doctest/doctest.h>

#include <boost/describe.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/json.hpp"
#include "runnel/connect/kafka_avro.hpp"
#include "runnel/core/error.hpp"
#include "tests/connect/http_server.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

struct alert {
    std::string card;
    std::int64_t cents = 0;
    bool operator==(const alert&) const = default;
};
BOOST_DESCRIBE_STRUCT(alert, (), (card, cents))

struct schema_body {
    std::string schema;
};
BOOST_DESCRIBE_STRUCT(schema_body, (), (schema))

std::string json_of(const std::string& schema) {
    std::string text;
    append_json(text, schema_body{schema});
    return text;
}

const std::string older =
    R"({"type":"record","name":"old","fields":[{"name":"cents","type":"int"},{"name":"x","type":"boolean"},)"
    R"({"name":"card","type":"string"}]})";

kafka_record record_of(std::optional<std::string_view> value) {
    kafka_record r;
    r.value = value;
    return r;
}

template <class F>
std::string failure_of(F f) {
    try {
        f();
    } catch (const io_error& e) {
        return "io_error: "s + e.what();
    } catch (const decode_error& e) {
        return "decode_error: "s + e.what();
    }
    return "none";
}

/// What a reader of alerts makes of a value.
template <class Reader>
std::string bad(Reader& reader, const std::string& value) {
    return failure_of([&] { reader(record_of(value)); });
}

}  // namespace

TEST_CASE("a value is read by the schema that it names, which is asked for once, also by copies") {
    test::http_server server({test::http_answer(200, json_of(older)),
                              test::http_answer(200, R"({"schemaType":"AVRO","references":[],"schema":)"
                                                     R"("{\"type\":\"record\",\"name\":\"n\",\"fields\":[)"
                                                     R"({\"name\":\"card\",\"type\":\"string\"},)"
                                                     R"({\"name\":\"cents\",\"type\":\"long\"}]}"})")});
    kafka_avro<alert> reader({.url = server.url("/registry/"), .headers = {{"X-Key", "k"}}});
    CHECK(reader.problems().empty());
    auto copy = reader;
    for (int i = 0; i < 3; ++i) {
        CHECK(reader(record_of("\0\0\0\1\2\x54\1\4c1"s)) == alert{"c1", 42});
        CHECK(copy(record_of("\0\0\0\1\2\x56\0\4c2"s)) == alert{"c2", 43});
        CHECK(copy(record_of("\0\xff\xff\xff\xff\4c3\x58"s)) == alert{"c3", 44});
    }
    const auto asked = server.requests();
    REQUIRE(asked.size() == 2);
    CHECK(asked[0].head.starts_with("GET /registry/schemas/ids/258 HTTP/1.1\r\n"));
    CHECK(asked[0].head.find("X-Key: k\r\n") != std::string::npos);
    CHECK(asked[1].head.starts_with("GET /registry/schemas/ids/4294967295 HTTP/1.1\r\n"));
}

TEST_CASE("a bad value is an error that names its schema, and the registry is not asked in vain") {
    test::http_server server(
        {test::http_answer(200, json_of(older)),
         test::http_answer(404, R"({"error_code":40403,"message":"Schema 8 not found"})"),
         test::http_answer(200, json_of(R"({"type":"record","name":"o","fields":[{"name":"card","type":"string"}]})")),
         test::http_answer(200, R"({"schemaType":"PROTOBUF","schema":"syntax"})")});
    kafka_avro<alert> reader({.url = server.url("")});
    CHECK(bad(reader, "") ==
          "decode_error: a value of 0 bytes has no room for the number of its schema, which takes 5");
    CHECK(bad(reader, "{\"card\":\"c\"}") == "decode_error: the value begins with byte 123 instead of 0: it was not "
                                            "written with a schema registry");
    CHECK(failure_of([&] { reader(record_of({})); }) ==
          "decode_error: the record has no value: its key was deleted");
    CHECK(server.requests().empty());
    CHECK(bad(reader, "\0\0\0\0\7\x54\1\4c"s) ==
          "decode_error: schema 7: byte 4, member 'card': 2 bytes are said to follow, and 1 do");
    CHECK(bad(reader, "\0\0\0\0\7"s) == "decode_error: schema 7: byte 1, member 'cents': the bytes end in a number");
    const std::string unknown = "decode_error: schema 8 is not known to the schema registry " + server.url("");
    CHECK(bad(reader, "\0\0\0\0\10\0"s) == unknown);
    CHECK(bad(reader, "\0\0\0\0\10\0"s) == unknown);
    const std::string other = "decode_error: schema 9: the schema's record o has no field 'cents'. Make it a "
                              "std::optional, or set avro_options::keep_missing";
    CHECK(bad(reader, "\0\0\0\0\11\0"s) == other);
    CHECK(bad(reader, "\0\0\0\0\11\0"s) == other);
    CHECK(bad(reader, "\0\0\0\0\12\0"s) == "decode_error: schema 10 is not of Avro, but of PROTOBUF");
    CHECK(server.requests().size() == 4);
    CHECK(reader(record_of("\0\0\0\0\7\x54\1\4c1"s)) == alert{"c1", 42});
}

TEST_CASE("a registry that is away for a moment is asked again, one that stays away is an error that is no bad record") {
    test::http_server server({{.bytes = "", .close = true},
                              test::http_answer(503, "later"),
                              test::http_answer(200, json_of(older)),
                              test::http_answer(401, R"({"message":"who are you"})"),
                              test::http_answer(200, "[]"),
                              {.bytes = "", .silent = true}});
    const std::string at = server.url("");
    kafka_avro<alert> reader({.url = at, .timeout = 1500ms});
    CHECK(reader(record_of("\0\0\0\0\1\x54\1\4c1"s)) == alert{"c1", 42});
    CHECK(server.requests().size() == 3);
    CHECK(bad(reader, "\0\0\0\0\2"s) == "io_error: schema registry " + at +
                                            ": asked for schema 2, it answers 401 Unauthorized: "
                                            "\"{\"message\":\"who are you\"}\"");
    CHECK(bad(reader, "\0\0\0\0\2"s) ==
          "io_error: schema registry " + at + ": asked for schema 2, it gives no \"schema\": 200 OK: \"[]\"");
    kafka_avro<alert> hasty({.url = at, .timeout = 100ms});
    const std::string away = bad(hasty, "\0\0\0\0\2"s);
    CHECK(away.starts_with("io_error: schema registry " + at + ": no answer within "));
    CHECK(away.ends_with("It was asked again for 100 ms (schema_registry::timeout)"));
    kafka_avro<alert> nowhere({.url = "http://127.0.0.1:1", .timeout = 60ms});
    CHECK(bad(nowhere, "\0\0\0\0\2"s) == "io_error: schema registry http://127.0.0.1:1: Connection refused. It was "
                                          "asked again for 60 ms (schema_registry::timeout)");
}

TEST_CASE("the schema of what is written is registered once for the topic, and its number goes in front") {
    test::http_server server({test::http_answer(200, R"({"id":66051,"version":1})")});
    const auto to = kafka_avro_output<alert>({.url = server.url("")}, &alert::card);
    CHECK(to.problems().empty());
    to.open("alerts.of-cards");
    const auto copy = to;
    copy.open("alerts.of-cards");
    const kafka_output r = copy(alert{"c1", 42});
    CHECK(r.key == "c1");
    CHECK(r.value == "\0\0\1\2\3\4c1\x54"s);
    const auto asked = server.requests();
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].head.starts_with("POST /subjects/alerts.of-cards-value/versions HTTP/1.1\r\n"));
    CHECK(asked[0].head.find("Content-Type: application/vnd.schemaregistry.v1+json\r\n") != std::string::npos);
    CHECK(asked[0].body == json_of(avro_schema_of<alert>("alerts_of_cards")));
    CHECK(kafka_avro_output<alert>({.url = server.url("")}).problems().empty());
}

TEST_CASE("a registry that refuses a schema is an error that says what to do") {
    test::http_server server({test::http_answer(409, R"({"error_code":409,"message":"incompatible"})"),
                              test::http_answer(200, "{}")});
    const std::string asked = "io_error: schema registry " + server.url("") +
                              ": asked to register a schema for subject \"a-value\", it answers ";
    const auto to = kafka_avro_output<alert>({.url = server.url("")});
    CHECK(failure_of([&] { to.open("a"); }) ==
          asked + "409 Conflict: \"{\"error_code\":409,\"message\":\"incompatible\"}\". The schema does not fit the "
                  "earlier ones. Change the type so that it does, or the compatibility that the subject demands");
    CHECK(failure_of([&] { to.open("a"); }) == asked + "without an \"id\": 200 OK: \"{}\"");
}

TEST_CASE("an address or header that cannot be right is a problem of the graph") {
    const auto no_scheme = kafka_avro<alert>({.url = "localhost:8081"}).problems();
    REQUIRE(no_scheme.size() == 1);
    CHECK(no_scheme[0].starts_with("\"localhost:8081\": not an address. "));
    CHECK(kafka_avro<alert>({.url = "http://localhost/?a=b"}).problems() ==
          std::vector<std::string>{"\"http://localhost/\": the address of a schema registry has no query. Remove it"});
    CHECK(kafka_avro<alert>({.url = "http://localhost", .headers = {{"Host", "x"}}, .timeout = 0ms}).problems().size() == 2);
    using nested = std::optional<std::optional<int>>;
    CHECK(kafka_avro_output<nested>({.url = "http://localhost"}).problems().size() == 1);
}
