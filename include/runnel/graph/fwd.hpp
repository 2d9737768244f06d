#pragma once

#include <tuple>

namespace runnel {

/// Stateless steps that wait to be fused: `In` is what goes into the first of them.
template <class In, class... Steps>
struct chain {
    using input_type = In;
    using steps = std::tuple<Steps...>;
};

class pipeline;
template <class T, class Chain = chain<T>>
class stream;
template <class T>
class source_stream;
template <class T>
class broadcast_stream;
template <class K, class T, class KeyFn>
class keyed_stream;
namespace detail {
struct no_evictor;
}
template <class K, class T, class KeyFn, class Spec, class Evictor = detail::no_evictor>
class windowed_stream;
template <class T>
class late_output;

}  // namespace runnel
