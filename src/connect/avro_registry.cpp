// The REST interface of Confluent's schema registry, as its documentation has it: GET /schemas/ids/N gives
// {"schema": "..."}, POST /subjects/S/versions takes the same and gives {"id": N}, the number of one that is there
// already if it is the same; errors are {"error_code": N, "message": "..."}.
#include "avro_registry.hpp"

#include <algorithm>
#include <boost/describe.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "runnel/codec/json.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

namespace {

using std::chrono::milliseconds;

// As the interface names them.
struct schema_text {
    std::string schema;
    std::optional<std::string> schemaType;
};
BOOST_DESCRIBE_STRUCT(schema_text, (), (schema, schemaType))
struct schema_only {
    std::string schema;
};
BOOST_DESCRIBE_STRUCT(schema_only, (), (schema))
struct schema_id {
    std::uint32_t id = 0;
};
BOOST_DESCRIBE_STRUCT(schema_id, (), (id))

constexpr milliseconds first_wait{50}, longest_wait{1000};

template <class T>
std::optional<T> read(const http_answer& answer) {
    T value{};
    try {
        json_decoder<T>().decode(answer.body, value);
    } catch (const decode_error&) {
        return std::nullopt;
    }
    return value;
}

std::string escaped(const std::string& text) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                              (byte >= 'a' && byte <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
        if (is_plain) out += c;
        else (out += '%') += {digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

}  // namespace

avro_registry::avro_registry(schema_registry at) : registry_(std::move(at)), at_(registry_.url) {}

std::vector<std::string> avro_registry::problems() const {
    std::vector<std::string> all = http_header_problems(registry_.headers);
    if (!at_.problem.empty()) all.push_back(at_.problem);
    else if (at_.target.find('?') != std::string::npos)
        all.push_back("\"" + at_.name + "\": the address of a schema registry has no query. Remove it");
    if (registry_.timeout.count() <= 0) all.push_back("the schema registry's timeout is not positive");
    return all;
}

void avro_registry::fail(const std::string& why) const {
    throw io_error("schema registry " + at_.name + ": " + why, 0);
}

http_answer avro_registry::ask(http_question question) const {
    std::string prefix = at_.target;
    if (prefix.ends_with('/')) prefix.pop_back();
    question.target.insert(0, prefix);
    question.headers.insert(question.headers.end(), registry_.headers.begin(), registry_.headers.end());
    const auto end = std::chrono::steady_clock::now() + registry_.timeout;
    for (milliseconds wait = first_wait;; wait = std::min(wait * 2, longest_wait)) {
        const auto rest = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
        std::string why;
        try {
            http_answer answer = http_call(at_, question, std::max(rest, milliseconds(1)));
            if (answer.status != 429 && answer.status / 100 != 5) return answer;
            why = "it answers " + http_text(answer);
        } catch (const io_error& e) {
            why = e.what();
        }
        if (std::chrono::steady_clock::now() + wait >= end)
            fail(why + ". It was asked again for " + std::to_string(registry_.timeout.count()) +
                 " ms (schema_registry::timeout)");
        std::this_thread::sleep_for(wait);
    }
}

std::string avro_registry::schema(std::uint32_t id) const {
    const std::string name = "schema " + std::to_string(id);
    const http_answer answer =
        ask({.target = "/schemas/ids/" + std::to_string(id),
             .headers = {{"Accept", "application/vnd.schemaregistry.v1+json, application/json"}}});
    if (answer.status == 404) throw decode_error(name + " is not known to the schema registry " + at_.name);
    if (answer.status != 200) fail("asked for " + name + ", it answers " + http_text(answer));
    std::optional<schema_text> found = read<schema_text>(answer);
    if (!found) fail("asked for " + name + ", it gives no \"schema\": " + http_text(answer));
    if (found->schemaType && *found->schemaType != "AVRO")
        throw decode_error(name + " is not of Avro, but of " + *found->schemaType);
    return std::move(found->schema);
}

std::uint32_t avro_registry::add(const std::string& subject, const std::string& schema) const {
    std::string body;
    append_json(body, schema_only{schema});
    const http_answer answer = ask({.is_post = true,
                                    .target = "/subjects/" + escaped(subject) + "/versions",
                                    .headers = {{"Content-Type", "application/vnd.schemaregistry.v1+json"},
                                                {"Accept", "application/vnd.schemaregistry.v1+json, application/json"}},
                                    .body = std::move(body)});
    const std::string what = "asked to register a schema for subject \"" + subject + "\", it answers ";
    if (answer.status == 409)
        fail(what + http_text(answer) + ". The schema does not fit the earlier ones. Change the type so that it does, "
                                        "or the compatibility that the subject demands");
    if (answer.status != 200) fail(what + http_text(answer));
    const std::optional<schema_id> added = read<schema_id>(answer);
    if (!added) fail(what + "without an \"id\": " + http_text(answer));
    return added->id;
}

}  // namespace runnel::detail
