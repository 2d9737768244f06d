// C's threads, mutexes and conditions by way of POSIX's, which ThreadSanitizer knows: it does not follow those of C, and
// crashes in a thread that it has not seen begin. What a library calls is found here first; its locks for readers and
// writers, too, for what a library does that ThreadSanitizer is told to pass over orders nothing in its eyes.
//
// None is destroyed, for which they hold nothing: a library may know by counting, which ThreadSanitizer does not see in
// it, that nobody uses one any more.
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <threads.h>

#include <cstdint>
#include <memory>

namespace {

static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t));
pthread_mutex_t* posix(mtx_t* m) { return reinterpret_cast<pthread_mutex_t*>(m); }
pthread_cond_t* posix(cnd_t* c) { return reinterpret_cast<pthread_cond_t*>(c); }

int result_of(int failure) {
    switch (failure) {
        case 0: return thrd_success;
        case ENOMEM: return thrd_nomem;
        case ETIMEDOUT: return thrd_timedout;
        case EBUSY: return thrd_busy;
        default: return thrd_error;
    }
}

struct beginning {
    thrd_start_t f;
    void* argument;
};

void* begin(void* p) {
    const std::unique_ptr<beginning> owned(static_cast<beginning*>(p));
    const beginning b = *owned;
    return reinterpret_cast<void*>(static_cast<std::intptr_t>(b.f(b.argument)));
}

/// ThreadSanitizer's form of a function on locks for readers and writers.
using on_lock = int (*)(pthread_rwlock_t*);
on_lock sanitized(const char* name) { return reinterpret_cast<on_lock>(dlsym(RTLD_NEXT, name)); }

}  // namespace

extern "C" {

int thrd_create(thrd_t* t, thrd_start_t f, void* argument) {
    auto b = std::make_unique<beginning>(beginning{f, argument});
    const int failure = pthread_create(t, nullptr, begin, b.get());
    if (failure == 0) b.release();
    return result_of(failure);
}
int thrd_join(thrd_t t, int* result) {
    void* value = nullptr;
    const int failure = pthread_join(t, &value);
    if (result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(value));
    return result_of(failure);
}

int mtx_init(mtx_t* m, int type) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    if ((type & mtx_recursive) != 0) pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    const int failure = pthread_mutex_init(posix(m), &a);
    pthread_mutexattr_destroy(&a);
    return result_of(failure);
}
int mtx_lock(mtx_t* m) { return result_of(pthread_mutex_lock(posix(m))); }
int mtx_trylock(mtx_t* m) { return result_of(pthread_mutex_trylock(posix(m))); }
int mtx_unlock(mtx_t* m) { return result_of(pthread_mutex_unlock(posix(m))); }
void mtx_destroy(mtx_t*) {}

int cnd_init(cnd_t* c) { return result_of(pthread_cond_init(posix(c), nullptr)); }
int cnd_signal(cnd_t* c) { return result_of(pthread_cond_signal(posix(c))); }
int cnd_broadcast(cnd_t* c) { return result_of(pthread_cond_broadcast(posix(c))); }
int cnd_wait(cnd_t* c, mtx_t* m) { return result_of(pthread_cond_wait(posix(c), posix(m))); }
int cnd_timedwait(cnd_t* c, mtx_t* m, const timespec* until) {
    return result_of(pthread_cond_timedwait(posix(c), posix(m), until));
}
void cnd_destroy(cnd_t*) {}

int pthread_rwlock_rdlock(pthread_rwlock_t* l) noexcept {
    static const on_lock f = sanitized("pthread_rwlock_rdlock");
    return f(l);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* l) noexcept {
    static const on_lock f = sanitized("pthread_rwlock_wrlock");
    return f(l);
}
int pthread_rwlock_unlock(pthread_rwlock_t* l) noexcept {
    static const on_lock f = sanitized("pthread_rwlock_unlock");
    return f(l);
}
int pthread_rwlock_destroy(pthread_rwlock_t*) noexcept { return 0; }

}  // extern "C"
