#include "runnel/exchange/broadcast.hpp"

namespace runnel {
namespace {

std::vector<std::unique_ptr<forward_sender>> ends_of(const std::vector<channel*>& to, std::size_t batch_size) {
    std::vector<std::unique_ptr<forward_sender>> made;
    for (channel* c : to) made.push_back(std::make_unique<forward_sender>(*c, batch_size));
    return made;
}

}  // namespace

std::vector<receiver_base*> broadcast_sender::pointers(const std::vector<std::unique_ptr<forward_sender>>& ends) {
    std::vector<receiver_base*> all;
    for (const auto& end : ends) all.push_back(end.get());
    return all;
}

broadcast_sender::broadcast_sender(const std::vector<channel*>& to, std::size_t batch_size)
    : ends_(ends_of(to, batch_size)), all_(pointers(ends_)) {}

}  // namespace runnel
