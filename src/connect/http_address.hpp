#pragma once

#include <charconv>
#include <string>
#include <string_view>

namespace runnel::detail {

/// What an address "http://host:port/path?query" consists of.
struct http_address {
    std::string host;  ///< Without the brackets of an IPv6 address.
    std::string port = "80";
    std::string authority;  ///< As the Host header says it.
    std::string target = "/";
    /// Without the query, which may hold secrets: for messages.
    std::string name;
    /// What is wrong; empty if nothing is.
    std::string problem;

    explicit http_address(std::string_view url) { read(url); }

private:
    void read(std::string_view url);
};

inline void http_address::read(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    const std::string_view shown = url.substr(0, url.find_first_of("?#"));
    name = shown;
    const auto refuse = [&](std::string_view why) { problem = "\"" + name + "\": " + std::string(why); };
    for (const char c : url)
        if (const auto byte = static_cast<unsigned char>(c); byte <= ' ' || byte >= 0x7f) {
            name = "url";
            return refuse("an address is of ASCII without spaces. Write other characters as %20 and the like");
        }
    if (url.starts_with("https://"))
        return refuse("https is not offered, since there is no TLS here. Post to a proxy on this machine that speaks "
                      "TLS, or write a sink of your own");
    if (!url.starts_with(scheme)) return refuse("not an address. It must look like \"http://host:port/path\"");
    url = url.substr(0, url.find('#'));
    url.remove_prefix(scheme.size());
    const std::size_t end = url.find_first_of("/?");
    std::string_view at = url.substr(0, end);
    if (end != url.npos) target = (url[end] == '?' ? "/" : "") + std::string(url.substr(end));
    if (const std::size_t user = at.rfind('@'); user != at.npos) {
        // The name must not hold the password.
        name = std::string(scheme) + std::string(at.substr(user + 1));
        return refuse("user and password do not belong into the address. Give them as an Authorization header");
    }
    authority = at;
    std::size_t colon = at.rfind(':');
    if (at.starts_with('[')) {
        const std::size_t bracket = at.find(']');
        if (bracket == at.npos) return refuse("the bracket of the IPv6 address is not closed");
        host = at.substr(1, bracket - 1);
        const std::string_view rest = at.substr(bracket + 1);
        if (!rest.empty() && rest[0] != ':') return refuse("behind an IPv6 address comes a port or the path");
        colon = rest.empty() ? at.npos : bracket + 1;
    } else {
        host = at.substr(0, colon);
    }
    if (host.empty()) return refuse("it names no host. It must look like \"http://host:port/path\"");
    if (colon == at.npos) return;
    port = at.substr(colon + 1);
    unsigned number = 0;
    const auto read = std::from_chars(port.data(), port.data() + port.size(), number);
    if (read.ec != std::errc() || read.ptr != port.data() + port.size() || number == 0 || number > 65535)
        refuse("the port must be a number from 1 to 65535");
}

}  // namespace runnel::detail
