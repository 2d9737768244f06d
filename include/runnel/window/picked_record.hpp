#pragma once

#include <optional>

#include "runnel/codec/binary.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

namespace detail {

/// The one record that an aggregate has picked so far, with its time.
template <class T>
struct picked_record {
    std::optional<T> record;
    timestamp time;
};

}  // namespace detail

template <class T>
    requires encodable<T>
struct codec<detail::picked_record<T>> {
    static void encode(const detail::picked_record<T>& p, std::string& out) {
        codec<std::optional<T>>::encode(p.record, out);
        codec<timestamp>::encode(p.time, out);
    }
    static detail::picked_record<T> decode(byte_reader& in) {
        auto record = codec<std::optional<T>>::decode(in);
        return {std::move(record), codec<timestamp>::decode(in)};
    }
    static auto layout(layout_builder& to) { return to.of<std::optional<T>, timestamp>(layout_kind::tuple); }
};

}  // namespace runnel
