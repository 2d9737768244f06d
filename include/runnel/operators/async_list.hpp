#pragma once

#include <cstddef>

namespace runnel::detail {

/// A node's place in a `linked_list`; one for each list that it may be in.
template <class Node>
struct list_links {
    Node* before = nullptr;
    Node* after = nullptr;
    bool linked = false;
};

/// A doubly linked list through a member of its nodes, which it does not own: nothing is allocated, and a node is
/// removed from anywhere at once.
///
/// Thread safety: unsafe.
template <class Node, list_links<Node> Node::*Links>
class linked_list {
public:
    bool empty() const noexcept { return first_ == nullptr; }
    Node* front() const noexcept { return first_; }
    static Node* next(const Node& n) noexcept { return (n.*Links).after; }

    /// Precondition: `n` is in no list.
    void push_back(Node& n) noexcept {
        (n.*Links) = {last_, nullptr, true};
        (last_ ? (last_->*Links).after : first_) = &n;
        last_ = &n;
    }
    /// Without effect if `n` is in no list.
    void erase(Node& n) noexcept {
        list_links<Node>& l = n.*Links;
        if (!l.linked) return;
        (l.before ? (l.before->*Links).after : first_) = l.after;
        (l.after ? (l.after->*Links).before : last_) = l.before;
        l = {};
    }

private:
    Node* first_ = nullptr;
    Node* last_ = nullptr;
};

}  // namespace runnel::detail
