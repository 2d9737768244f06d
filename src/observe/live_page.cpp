#include "runnel/observe/live_page.hpp"

#include "page_server.hpp"
#include "page_site.hpp"

namespace runnel::observe {

struct live_page::parts {
    explicit parts(page_options options) : site(std::move(options)), server(site) {}
    detail::page_site site;
    detail::page_server server;
};

live_page::live_page(page_options options) : parts_(std::make_unique<parts>(std::move(options))) {}
live_page::live_page(live_page&&) noexcept = default;
live_page& live_page::operator=(live_page&&) noexcept = default;
live_page::~live_page() = default;

void live_page::add(const job& j) { parts_->site.jobs().add(j); }
std::uint16_t live_page::port() const { return parts_->server.port(); }

std::string live_page::url() const {
    const page_options& o = parts_->site.options();
    const std::string host = o.address.find(':') == std::string::npos ? o.address : "[" + o.address + "]";
    return "http://" + host + ":" + std::to_string(port()) + "/" + (o.token.empty() ? "" : "?token=" + o.token);
}

}  // namespace runnel::observe
