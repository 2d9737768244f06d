#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

#if __has_include(<boost/describe/members.hpp>)
#include <boost/describe/bases.hpp>
#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <boost/describe/enumerators.hpp>
#include <boost/describe/members.hpp>
#include <boost/describe/modifiers.hpp>
#endif

namespace runnel {

#if __has_include(<boost/describe/members.hpp>)

/// A struct whose data members are known by BOOST_DESCRIBE_STRUCT or BOOST_DESCRIBE_CLASS.
template <class T>
concept described = std::is_class_v<T> && boost::describe::has_describe_members<T>::value;

/// An enum whose enumerators are known by BOOST_DESCRIBE_ENUM or BOOST_DEFINE_ENUM_CLASS.
template <class T>
concept described_enum = std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;

namespace detail {

/// The descriptors of all data members of T, inherited ones first; private ones too if they are described, since
/// leaving them out would lose part of the value without a word.
template <class T>
using member_list =
    boost::describe::describe_members<T, boost::describe::mod_any_access | boost::describe::mod_inherited>;

template <template <class...> class List, class... Descriptors, class F>
constexpr void for_each_in(List<Descriptors...>, F& f) {
    (f(Descriptors{}), ...);
}

/// A pointer to a member of a base is one of T's.
template <class T, class M, class Base>
constexpr M T::*member_of(M Base::*pointer) {
    return pointer;
}

template <class List>
inline constexpr std::size_t list_size = 0;
template <template <class...> class List, class... Elements>
inline constexpr std::size_t list_size<List<Elements...>> = sizeof...(Elements);

}  // namespace detail

/// Number of described data members of T.
template <described T>
inline constexpr std::size_t member_count = detail::list_size<detail::member_list<T>>;

/// Calls `f(std::string_view name, auto T::*pointer)` for each described data member of T, in order of declaration.
template <described T, class F>
constexpr void for_each_member(F&& f) {
    auto call = [&f](auto descriptor) {
        f(std::string_view(descriptor.name), detail::member_of<T>(descriptor.pointer));
    };
    detail::for_each_in(detail::member_list<T>{}, call);
}

/// Calls `f(std::string_view name, E value)` for each described enumerator.
template <described_enum E, class F>
constexpr void for_each_enumerator(F&& f) {
    auto call = [&f](auto descriptor) { f(std::string_view(descriptor.name), descriptor.value); };
    detail::for_each_in(boost::describe::describe_enumerators<E>{}, call);
}

#else

// Without Boost.Describe no type is described; everything else works.
template <class T>
concept described = false && std::is_class_v<T>;
template <class T>
concept described_enum = false && std::is_enum_v<T>;
template <class T>
inline constexpr std::size_t member_count = 0;
template <class T, class F>
constexpr void for_each_member(F&&) {}
template <class E, class F>
constexpr void for_each_enumerator(F&&) {}

#endif

}  // namespace runnel
