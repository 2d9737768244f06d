#pragma once

namespace runnel {

/// Something that can be told that there may be work for it: a subtask.
/// Thread safety: safe; calls may come at any time during the life of the job.
class wakeable {
public:
    virtual void wake() noexcept = 0;

protected:
    ~wakeable() = default;
};

}  // namespace runnel
