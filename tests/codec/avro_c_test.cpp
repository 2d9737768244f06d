// What is written and read here, judged by Avro's own C library.
#include <avro.h>
#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "runnel/codec/avro.hpp"
#include "tests/codec/avro_records.hpp"

using namespace runnel;
using namespace avro_test;

namespace {

struct given_back {
    void operator()(avro_obj_t* s) const { avro_schema_decref(s); }
    void operator()(avro_value_iface_t* c) const { avro_value_iface_decref(c); }
};
using schema = std::unique_ptr<avro_obj_t, given_back>;
using value_class = std::unique_ptr<avro_value_iface_t, given_back>;

schema parse(const std::string& text) {
    avro_schema_t s = nullptr;
    INFO(text);
    REQUIRE(avro_schema_from_json_length(text.data(), text.size(), &s) == 0);
    return schema(s);
}

/// Reads bytes by one schema, and writes them by another that it is resolved to.
std::string resolved(const schema& from, const schema& to, const std::string& bytes) {
    const value_class to_class(avro_generic_class_from_schema(to.get()));
    const value_class resolver(avro_resolved_writer_new(from.get(), to.get()));
    REQUIRE(resolver);
    avro_value_t value, filler;
    REQUIRE(avro_generic_value_new(to_class.get(), &value) == 0);
    REQUIRE(avro_resolved_writer_new_value(resolver.get(), &filler) == 0);
    avro_resolved_writer_set_dest(&filler, &value);
    const avro_reader_t in = avro_reader_memory(bytes.data(), static_cast<std::int64_t>(bytes.size()));
    REQUIRE(avro_value_read(in, &filler) == 0);
    avro_reader_free(in);
    std::size_t size = 0;
    REQUIRE(avro_value_sizeof(&value, &size) == 0);
    std::string out(size, '\0');
    const avro_writer_t w = avro_writer_memory(out.data(), static_cast<std::int64_t>(size));
    REQUIRE(avro_value_write(w, &value) == 0);
    avro_writer_free(w);
    avro_value_decref(&filler);
    avro_value_decref(&value);
    return out;
}

struct before {
    int a = 0;
    std::int64_t b = 0;
    float c = 0;
    std::string gone;
    std::vector<leaf> leaves;
    paint colour = paint::red;
};
BOOST_DESCRIBE_STRUCT(before, (), (a, b, c, gone, leaves, colour))

struct after {
    std::vector<leaf> leaves;
    double c = 0;
    std::optional<std::int64_t> a;
    paint colour = paint::red;
    float b = 0;
    bool operator==(const after&) const = default;
};
BOOST_DESCRIBE_STRUCT(after, (), (leaves, c, a, colour, b))

}  // namespace

TEST_CASE("Avro's C library reads what is written, with the type's schema, and writes the same bytes") {
    const schema of_type = parse(avro_schema_of<everything>("everything"));
    std::mt19937_64 random(3);
    for (int i = 0; i < 500; ++i) {
        CAPTURE(i);
        std::string bytes;
        append_avro(bytes, random_value(random));
        REQUIRE(resolved(of_type, of_type, bytes) == bytes);
    }
}

TEST_CASE("schemas are resolved as Avro's C library does it") {
    const std::string from = avro_schema_of<before>("r");
    const std::string to = avro_schema_of<after>("r");
    const schema from_schema = parse(from), to_schema = parse(to);
    const avro_decoder<after> decoder(from), same(to);
    std::mt19937_64 random(4);
    for (int i = 0; i < 500; ++i) {
        CAPTURE(i);
        const auto n = [&] { return static_cast<int>(random() >> random() % 32); };
        before value{n(), n(), static_cast<float>(n()) / 2, "left out", std::vector<leaf>(random() % 3, leaf{n()}),
                     random() % 2 == 0 ? paint::red : paint::green};
        std::string bytes;
        append_avro(bytes, value);
        REQUIRE(decoder.decode(bytes) == same.decode(resolved(from_schema, to_schema, bytes)));
    }
}
