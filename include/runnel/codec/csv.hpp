#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/codec/text_type.hpp"
#include "runnel/codec/time_text.hpp"

namespace runnel {

/// How CSV is read and written.
struct csv_options {
    /// Between two fields: an ASCII character that no number or time contains.
    char delimiter = ',';
    /// What integers in columns of type `timestamp` count; ISO 8601 is read whatever the unit.
    time_unit unit = time_unit::milliseconds;
};

namespace detail {

/// The part of `csv_decoder` that knows no type.
class csv_reader {
public:
    csv_reader(const text_type& type, csv_options options);
    void set_header(std::string_view line);
    void read(std::string_view line, void* into);

private:
    const text_type* type_;
    csv_options options_;
    /// For each column the index of its member; the count of members for columns that nobody asked for.
    std::vector<std::size_t> columns_;
    std::string unquoted_;
};

void write_csv(std::string& out, const text_type& type, const void* from, csv_options options, bool unit_is_asked);
void write_csv_header(std::string& out, const text_type& type, char delimiter);

template <class T>
inline constexpr bool csv_field = requires { text_traits<T>::make(); } && [] {
    const text_kind kind = text_traits<T>::make().kind;
    return kind <= text_kind::enumeration;
}();
template <class T>
inline constexpr bool csv_field<std::optional<T>> = csv_field<T>;

template <class T>
constexpr bool csv_row() {
    bool all = true;
    for_each_member<T>([&]<class M>(std::string_view, M T::*) { all = all && csv_field<M>; });
    return all;
}

}  // namespace detail

/// A described struct of plain values: what one line of CSV can hold.
template <class T>
concept csv_record = described<T> && detail::csv_row<T>();

/// Turns lines of CSV (RFC 4180) into values of T, a described struct of plain or optional values.
///
/// Columns are the members in order of description, or found by name once the header is known; columns without a
/// member are left out. Each line must have as many fields as the header. An empty field is an empty std::optional
/// unless it is quoted. bool takes true, false, 1 and 0; doubles take nan, inf and -inf too; times
/// take an integer of the unit or ISO 8601 (`parse_timestamp`); a described enum takes a name or the number of one.
/// A line break inside quotes is read if it is part of the text.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
/// Lifetime: nothing of the text is referred to after the call.
template <csv_record T>
class csv_decoder {
public:
    explicit csv_decoder(csv_options options = {}) : reader_(detail::text_type_of<T>::value, options) {}

    /// Maps columns to members by name. Throws: `decode_error` if a member that is not optional has
    /// no column, or any has two.
    void set_header(std::string_view line) { reader_.set_header(line); }

    /// Fills `into`, using its memory again where it can; whatever it held is gone, also when the call throws.
    /// Complexity: O(size). Throws: `decode_error` with the byte (counted from 1), the column and the cause.
    void decode(std::string_view line, T& into) { reader_.read(line, &into); }

private:
    detail::csv_reader reader_;
};

/// Appends `value` as one line of CSV without line break, fields quoted where needed, times in ISO 8601.
/// Thread safety: safe.
template <csv_record T>
void append_csv(std::string& out, const T& value, char delimiter = ',') {
    detail::write_csv(out, detail::text_type_of<T>::value, &value, {.delimiter = delimiter}, false);
}

/// The same with times as integers of the options' unit, rounded down.
template <csv_record T>
void append_csv(std::string& out, const T& value, csv_options options) {
    detail::write_csv(out, detail::text_type_of<T>::value, &value, options, true);
}

/// The names of the columns as a line of CSV without line break.
template <csv_record T>
std::string csv_header(char delimiter = ',') {
    std::string line;
    detail::write_csv_header(line, detail::text_type_of<T>::value, delimiter);
    return line;
}

}  // namespace runnel
