#pragma once

#include <string>
#include <string_view>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/json.hpp"
#include "runnel/connect/kafka_record.hpp"
#include "runnel/core/error.hpp"

namespace runnel {

namespace detail {

inline std::string_view value_of(const kafka_record& r) {
    if (!r.value) throw decode_error("the record has no value: its key was deleted");
    return *r.value;
}

}  // namespace detail

/// Reads a record's value as it is: T is std::string, or a vector of bytes.
template <class T = std::string>
struct kafka_bytes {
    T operator()(const kafka_record& r) const {
        using byte = typename T::value_type;
        static_assert(sizeof(byte) == 1, "runnel: kafka_bytes: the value is made of bytes: name std::string, or a "
                                         "vector of bytes");
        const std::string_view value = detail::value_of(r);
        const byte* const data = reinterpret_cast<const byte*>(value.data());
        return T(data, data + value.size());
    }
};

/// Reads a record's value as a JSON object (or array, for a T that is one), as `json_decoder` does. Integers in members
/// of type `timestamp` count `unit`. Programs that use it link runnel::connect, too.
template <class T>
class kafka_json {
public:
    explicit kafka_json(time_unit unit = time_unit::milliseconds) : unit_(unit), decoder_(unit) {}
    kafka_json(const kafka_json& o) : kafka_json(o.unit_) {}
    kafka_json& operator=(const kafka_json&) = delete;

    T operator()(const kafka_record& r) {
        T value{};
        decoder_.decode(detail::value_of(r), value);
        return value;
    }

private:
    time_unit unit_;
    json_decoder<T> decoder_;
};

/// Reads a record's value by `codec<T>`, as `to_log` and `runnel::codec` write it.
template <class T>
struct kafka_binary {
    T operator()(const kafka_record& r) const {
        byte_reader in(detail::value_of(r));
        T value = codec<T>::decode(in);
        if (!in.empty()) throw decode_error("the value is longer than one of its type");
        return value;
    }
};

}  // namespace runnel
