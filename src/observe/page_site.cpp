#include "page_site.hpp"

#include <algorithm>
#include <cstdint>

#include "address.hpp"
#include "runnel/observe/prometheus.hpp"

namespace runnel::observe::detail {
namespace {

constexpr std::string_view html_type = "text/html; charset=utf-8";
constexpr std::string_view json_type = "application/json";

http_response refusal(unsigned status, std::string text) {
    return {status, "text/plain; charset=utf-8", text + "\n", false};
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// Takes as long whatever the two have in common.
bool is_same_secret(std::string_view given, std::string_view secret) {
    unsigned difference = given.size() == secret.size() ? 0 : 1;
    for (std::size_t i = 0; i < given.size(); ++i)
        difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(secret[i % secret.size()]);
    return difference == 0;
}

/// A Host without its port. Empty if it is none.
std::string_view host_name(std::string_view host) {
    const std::size_t end = host.starts_with('[') ? host.find(']') + 1 : std::min(host.find(':'), host.size());
    const std::string_view port = host.substr(end);
    const bool good = port.empty() || (port[0] == ':' && port.find_first_not_of("0123456789", 1) == port.npos);
    return good ? host.substr(0, end) : std::string_view();
}

}  // namespace

/// A foreign name that is made to lead here (DNS rebinding) would let a foreign page read this one. Such a name is
/// never an address.
bool page_site::is_known_host(std::string_view host) const {
    const std::string name = lower(host_name(host));
    if (name.empty()) return false;
    if (name == "localhost" || is_address(name)) return true;
    return std::any_of(options_.hosts.begin(), options_.hosts.end(),
                       [&](const std::string& known) { return lower(known) == name; });
}

bool page_site::may_see(const http_request& request, std::string_view query) const {
    if (options_.token.empty()) return true;
    constexpr std::string_view scheme = "bearer ";
    if (lower(request.authorization.substr(0, scheme.size())) == scheme &&
        is_same_secret(std::string_view(request.authorization).substr(scheme.size()), options_.token))
        return true;
    constexpr std::string_view parameter = "token=";
    while (!query.empty()) {
        const std::string_view part = query.substr(0, query.find('&'));
        if (part.starts_with(parameter) && is_same_secret(part.substr(parameter.size()), options_.token)) return true;
        query.remove_prefix(std::min(query.size(), part.size() + 1));
    }
    return false;
}

std::string page_site::page() const {
    constexpr std::string_view place = "{{query}}";
    std::string text(page_html);
    const std::string query = options_.token.empty() ? "" : "?token=" + options_.token;
    for (std::size_t at; (at = text.find(place)) != text.npos;) text.replace(at, place.size(), query);
    return text;
}

http_response page_site::answer(const http_request& request) const {
    if (!is_known_host(request.host))
        return refusal(403, "This is not a name of this page. Call it by its address, or name it in "
                            "page_options::hosts.");
    const std::string_view target = request.target;
    const std::string_view path = target.substr(0, target.find('?'));
    const std::string_view query = path.size() == target.size() ? std::string_view() : target.substr(path.size() + 1);
    if (!may_see(request, query)) return refusal(401, "This page wants its token.");
    if (request.method != "GET" && request.method != "HEAD") return refusal(405, "There is nothing here but to read.");
    if (path == "/") return {200, html_type, page(), false};
    if (path == "/page.css") return {200, "text/css; charset=utf-8", std::string(page_style), false};
    if (path == "/page.js") return {200, "text/javascript; charset=utf-8", std::string(page_script), false};
    if (path == "/api/jobs") return {200, json_type, to_json(jobs_.statuses()), false};
    if (path == "/metrics") return {200, prometheus_content_type, to_prometheus(jobs_.statuses()), false};
    if (path == "/api/events") return {200, "text/event-stream", "retry: 2000\n\n", true};
    return refusal(404, "There is no such page. There are /, /api/jobs, /api/events and /metrics.");
}

std::string page_site::event() const { return "data: " + to_json(jobs_.statuses()) + "\n\n"; }

std::string http_text(const http_response& response, bool keep_alive, bool without_body) {
    const auto reason = [&] {
        switch (response.status) {
            case 200: return "200 OK";
            case 400: return "400 Bad Request";
            case 401: return "401 Unauthorized\r\nWWW-Authenticate: Bearer";
            case 403: return "403 Forbidden";
            case 404: return "404 Not Found";
            case 405: return "405 Method Not Allowed\r\nAllow: GET, HEAD";
            case 413: return "413 Content Too Large";
            case 414: return "414 URI Too Long";
            case 431: return "431 Request Header Fields Too Large";
            case 503: return "503 Service Unavailable";
            default: return "500 Internal Server Error";
        }
    };
    std::string text = "HTTP/1.1 ";
    text += reason();
    text += "\r\nContent-Type: ";
    text += response.type;
    if (!response.is_stream) text += "\r\nContent-Length: " + std::to_string(response.body.size());
    text += keep_alive ? "\r\nConnection: keep-alive" : "\r\nConnection: close";
    text += "\r\nCache-Control: no-store"
            "\r\nX-Content-Type-Options: nosniff"
            "\r\nX-Frame-Options: DENY"
            "\r\nReferrer-Policy: no-referrer"
            "\r\nCross-Origin-Resource-Policy: same-origin"
            "\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\r\n";
    if (!without_body) text += response.body;
    return text;
}

}  // namespace runnel::observe::detail
