#pragma once

#include <pthread.h>
#include <signal.h>

namespace runnel::detail {

/// Blocks the signals that are sent to a process while it lives, so that threads started meanwhile leave them to the
/// host's own threads. Signals that a thread brings upon itself, and a profiler's, still go to the host's handlers.
/// Thread safety: acts on the calling thread only.
class blocked_signals {
public:
    blocked_signals() noexcept {
        sigset_t sent;
        sigfillset(&sent);
        for (int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) sigdelset(&sent, own);
        pthread_sigmask(SIG_SETMASK, &sent, &before_);
    }
    ~blocked_signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    blocked_signals(const blocked_signals&) = delete;
    blocked_signals& operator=(const blocked_signals&) = delete;

private:
    sigset_t before_;
};

}  // namespace runnel::detail
