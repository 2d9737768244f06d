// Which JSON parser stands behind json_decoder: nanoseconds per line for the ways of filling one small struct from
// one line. Every way must find the same sum. The outcome is quoted at the head of src/codec/json.cpp.

#include <boost/json/src.hpp>
#include <simdjson.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/codec/describe.hpp"
#include "runnel/codec/json.hpp"

namespace {

struct click {
    std::string user, page;
    std::int64_t at = 0;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page, at))

std::uint64_t digest(const click& c) {
    return static_cast<std::uint64_t>(c.at) + c.user.size() * 31 + c.page.size() * 7 +
           static_cast<unsigned char>(c.user.back());
}

namespace od = simdjson::ondemand;

// The parser's own string accessor.
void ondemand_get_string(od::parser& parser, std::string_view line, click& c) {
    od::document doc = parser.iterate(line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING);
    for (auto member : doc.get_object()) {
        od::raw_json_string key = member.key();
        std::string_view text;
        if (key == "user") {
            text = member.value().get_string();
            c.user.assign(text);
        } else if (key == "page") {
            text = member.value().get_string();
            c.page.assign(text);
        } else if (key == "at") {
            c.at = member.value().get_int64();
        }
    }
    if (!doc.current_location().error()) std::abort();
}

// Strings taken between their quotes: the end is where the next token starts, minus white space.
void ondemand_raw_string(od::parser& parser, std::string_view line, click& c) {
    od::document doc = parser.iterate(line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING);
    auto take = [&](od::value value, std::string& into) {
        const char* first = value.get_raw_json_string().value().raw();
        const char* last = doc.current_location().value();
        while (*--last != '"') continue;
        const auto length = static_cast<std::size_t>(last - first);
        if (std::memchr(first, '\\', length) != nullptr) std::abort();
        into.assign(first, length);
    };
    for (auto member : doc.get_object()) {
        od::raw_json_string key = member.key();
        if (key == "user") take(member.value(), c.user);
        else if (key == "page") take(member.value(), c.page);
        else if (key == "at") c.at = member.value().get_int64();
    }
    if (!doc.current_location().error()) std::abort();
}

void simdjson_tree(simdjson::dom::parser& parser, std::string_view line, click& c) {
    simdjson::dom::element doc = parser.parse(line.data(), line.size(), false);
    c.user.assign(std::string_view(doc["user"]));
    c.page.assign(std::string_view(doc["page"]));
    c.at = doc["at"];
}

void boost_tree(std::string_view line, click& c) {
    unsigned char memory[4096];
    boost::json::monotonic_resource resource(memory);
    const boost::json::value doc = boost::json::parse({line.data(), line.size()}, &resource);
    const boost::json::object& members = doc.as_object();
    const boost::json::string& user = members.at("user").as_string();
    const boost::json::string& page = members.at("page").as_string();
    c.user.assign(user.data(), user.size());
    c.page.assign(page.data(), page.size());
    c.at = members.at("at").as_int64();
}

// Boost.JSON's event interface.
struct handler {
    static constexpr std::size_t max_object_size = SIZE_MAX, max_array_size = SIZE_MAX, max_key_size = SIZE_MAX,
                                 max_string_size = SIZE_MAX;
    using ec = boost::json::error_code;
    using sv = boost::json::string_view;
    click* c = nullptr;
    std::string key;
    std::string* target = nullptr;

    bool on_document_begin(ec&) { return true; }
    bool on_document_end(ec&) { return true; }
    bool on_object_begin(ec&) { return true; }
    bool on_object_end(std::size_t, ec&) { return true; }
    bool on_array_begin(ec&) { return true; }
    bool on_array_end(std::size_t, ec&) { return true; }
    bool on_key_part(sv s, std::size_t, ec&) {
        key.append(s.data(), s.size());
        return true;
    }
    bool on_key(sv s, std::size_t, ec&) {
        key.append(s.data(), s.size());
        target = key == "user" ? &c->user : key == "page" ? &c->page : nullptr;
        if (target != nullptr) target->clear();
        return true;
    }
    bool on_string_part(sv s, std::size_t, ec&) {
        if (target != nullptr) target->append(s.data(), s.size());
        return true;
    }
    bool on_string(sv s, std::size_t, ec& e) {
        key.clear();
        return on_string_part(s, 0, e);
    }
    bool on_number_part(sv, ec&) { return true; }
    bool on_int64(std::int64_t i, sv, ec&) {
        if (key == "at") c->at = i;
        key.clear();
        return true;
    }
    bool on_uint64(std::uint64_t, sv, ec&) { return true; }
    bool on_double(double, sv, ec&) { return true; }
    bool on_bool(bool, ec&) { return true; }
    bool on_null(ec&) { return true; }
    bool on_comment_part(sv, ec&) { return true; }
    bool on_comment(sv, ec&) { return true; }
};

void boost_events(boost::json::basic_parser<handler>& parser, std::string_view line, click& c) {
    parser.reset();
    parser.handler().c = &c;
    parser.handler().key.clear();
    boost::json::error_code error;
    parser.write_some(false, line.data(), line.size(), error);
    if (error) std::abort();
}

struct way {
    const char* name;
    std::function<void(std::string_view, click&)> decode;
    std::vector<double> ns = {};
};

}  // namespace

int main() {
    constexpr std::size_t count = 100'000;
    constexpr int rounds = 11;
    std::mt19937_64 random(42);
    std::string text;
    std::vector<std::pair<std::size_t, std::size_t>> spans;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t start = text.size();
        text += "{\"user\":\"u" + std::to_string(random() % 100'000) + "\",\"page\":\"/a" +
                std::to_string(random() % 100) + "\",\"at\":" + std::to_string(1'700'000'000'000 + i) + "}";
        spans.emplace_back(start, text.size() - start);
        text += '\n';
    }
    const double bytes = static_cast<double>(text.size()) / count;
    text.append(simdjson::SIMDJSON_PADDING, ' ');

    od::parser raw_parser, string_parser;
    simdjson::dom::parser tree_parser;
    boost::json::basic_parser<handler> event_parser{boost::json::parse_options{}};
    runnel::json_decoder<click> decoder, line_decoder;
    constexpr std::ptrdiff_t block = 32'768;
    const char* prepared_end = nullptr;
    std::vector<way> ways{
        {"json_decoder, prepared",
         [&](std::string_view l, click& c) {
             if (l.data() >= prepared_end || l.data() < prepared_end - block) {
                 const std::size_t from = static_cast<std::size_t>(l.data() - text.data());
                 const std::size_t to = std::min(text.rfind('\n', from + block) + 1, text.size());
                 decoder.prepare(std::string_view(text).substr(from, to - from));
                 prepared_end = text.data() + to;
             }
             decoder.decode_prepared(l, c);
         }},
        {"json_decoder, line by line", [&](std::string_view l, click& c) { line_decoder.decode(l, c); }},
        {"simdjson on-demand, raw strings",
         [&](std::string_view l, click& c) { ondemand_raw_string(raw_parser, l, c); }},
        {"simdjson on-demand, get_string",
         [&](std::string_view l, click& c) { ondemand_get_string(string_parser, l, c); }},
        {"simdjson tree", [&](std::string_view l, click& c) { simdjson_tree(tree_parser, l, c); }},
        {"Boost.JSON events", [&](std::string_view l, click& c) { boost_events(event_parser, l, c); }},
        {"Boost.JSON tree", [&](std::string_view l, click& c) { boost_tree(l, c); }},
    };
    std::uint64_t expected = 0;
    for (int round = 0; round < rounds; ++round)
        for (way& w : ways) {
            click c;
            std::uint64_t sum = 0;
            const auto start = std::chrono::steady_clock::now();
            for (auto [offset, length] : spans) {
                w.decode({text.data() + offset, length}, c);
                sum += digest(c);
            }
            const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
            if (expected == 0) expected = sum;
            if (sum != expected) {
                std::fprintf(stderr, "%s: another sum\n", w.name);
                return 1;
            }
            w.ns.push_back(spent.count() / count);
        }
    std::printf("%.0f bytes per line, implementation %s\n", bytes,
                simdjson::get_active_implementation()->name().c_str());
    for (way& w : ways) {
        std::sort(w.ns.begin(), w.ns.end());
        std::printf("%-34s %6.1f ns per line (best %.1f)\n", w.name, w.ns[w.ns.size() / 2], w.ns.front());
    }
}
