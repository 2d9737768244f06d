#include "runnel/source/alignment.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

namespace runnel {

namespace detail {

struct alignment_state {
    std::mutex mutex;
    std::vector<alignment_member*> members;
    /// The lowest watermark of those that count; `max` if there are none.
    timestamp slowest = timestamp::max();

    static timestamp counted(const alignment_member& m) { return m.idle_ ? timestamp::max() : m.watermark_; }
    bool is_ahead(const alignment_member& m) const { return m.watermark_ > slowest + m.max_drift_; }

    void update(alignment_member& m, timestamp watermark, bool idle) {
        const timestamp before = counted(m);
        m.watermark_ = watermark;
        m.idle_ = idle;
        moved(before, counted(m));
    }
    /// What one member adds to the minimum has changed.
    void moved(timestamp before, timestamp now) {
        if (now < slowest) slowest = now;
        else if (before == slowest && now != before) find_slowest();
    }
    void find_slowest() {
        const timestamp before = slowest;
        slowest = timestamp::max();
        for (const alignment_member* m : members) slowest = std::min(slowest, counted(*m));
        if (slowest == before) return;
        for (alignment_member* m : members) {
            if (!m->held_ || is_ahead(*m)) continue;
            m->held_ = false;
            m->wake_();  // Under the lock, since the call is good only as long as the member lives.
        }
    }
};

alignment_member::alignment_member(std::shared_ptr<alignment_state> group, timestamp watermark, duration max_drift,
                                   std::function<void()> wake)
    : group_(std::move(group)), watermark_(watermark), max_drift_(max_drift), wake_(std::move(wake)) {
    const std::lock_guard lock(group_->mutex);
    group_->members.push_back(this);
    group_->moved(timestamp::max(), watermark);
}

alignment_member::~alignment_member() {
    const std::lock_guard lock(group_->mutex);
    std::erase(group_->members, this);
    group_->moved(alignment_state::counted(*this), timestamp::max());
}

void alignment_member::report(timestamp watermark, bool idle) {
    const std::lock_guard lock(group_->mutex);
    group_->update(*this, watermark, idle);
}

bool alignment_member::may_read(timestamp watermark, bool idle) {
    const std::lock_guard lock(group_->mutex);
    held_ = false;
    group_->update(*this, watermark, idle);
    held_ = group_->is_ahead(*this);
    return !held_;
}

}  // namespace detail

alignment_group::alignment_group() : state_(std::make_shared<detail::alignment_state>()) {}

}  // namespace runnel
