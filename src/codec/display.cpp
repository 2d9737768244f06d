#include "runnel/codec/display.hpp"

namespace runnel {

string_stream::string_stream(std::string& text) : std::ostream(static_cast<std::streambuf*>(this)), text_(&text) {}

void string_stream::reset() {
    clear();
    flags(std::ios_base::skipws | std::ios_base::dec);
    precision(6);
    width(0);
    fill(' ');
}

int string_stream::overflow(int c) {
    using traits = std::char_traits<char>;
    if (!traits::eq_int_type(c, traits::eof())) *text_ += traits::to_char_type(c);
    return traits::not_eof(c);
}

std::streamsize string_stream::xsputn(const char* from, std::streamsize n) {
    text_->append(from, static_cast<std::size_t>(n));
    return n;
}

}  // namespace runnel
