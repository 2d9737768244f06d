#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace runnel::detail {

/// Starts a thread that takes none of the signals meant for the program.
template <class F>
std::thread start_quiet_thread(F f) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct restore {
        sigset_t* mask;
        ~restore() { pthread_sigmask(SIG_SETMASK, mask, nullptr); }
    } restored{&before};
    return std::thread(std::move(f));
}

}  // namespace runnel::detail
