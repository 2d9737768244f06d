#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runnel/codec/layout.hpp"

namespace runnel::detail {

/// Makes bytes of a type as it is now from those of the type as it was saved: members are found by name, new ones get
/// the default of the struct that they are in, those that are gone are left out; integers become wider, never narrower,
/// and keep their sign; float becomes double; enums and variants may have got more alternatives at hand; what has a
/// migration is migrated.
///
/// Thread safety: const members may be called by several threads.
/// Complexity: linear in the bytes; does nothing that depends on how many types there are.
class layout_conversion {
public:
    /// `distinct`: values that differ must not become equal, as keys of a map.
    /// Errors: `error` that says which part has changed in which way, if that can't be done.
    layout_conversion(const layout& saved, const layout& wanted, bool distinct = false);

    /// Appends one value to `out`. Errors: `decode_error` if the bytes are not as the layout says.
    void convert(byte_reader& in, std::string& out) const { convert(root_, in, out); }

private:
    class compiler;
    enum class action : unsigned char {
        bytes,
        widen_signed,
        widen_unsigned,
        to_double,
        text,
        optional,
        list,
        map,
        array,
        tuple,
        variant,
        structure,
        own,
        migrate,
    };
    struct step {
        action what = action::bytes;
        std::uint64_t from = 0;  ///< Bytes that are read, or elements of an array.
        std::uint64_t to = 0;    ///< Bytes that are written.
        std::vector<std::uint32_t> parts = {};
        std::vector<std::uint32_t> targets = {};  ///< The member that each part becomes, or `nothing`.
        bool in_order = true;                     ///< Of the members.
        std::vector<std::string> defaults = {};
        void (*pass)(byte_reader&) = nullptr;
        void (*migrate)(byte_reader&, std::string&) = nullptr;
    };
    static constexpr std::uint32_t nothing = UINT32_MAX;

    void convert(std::uint32_t at, byte_reader& in, std::string& out) const;
    void convert_structure(const step& s, byte_reader& in, std::string& out) const;

    std::vector<step> steps_;
    std::uint32_t root_ = 0;
};

}  // namespace runnel::detail
