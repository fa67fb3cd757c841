#include "tensor/threads.h"
#include "tensor/operation.h"
#include <omp.h>

static int thread_count; /* 0: the machine's cores */

void tensor_set_threads(int threads)
{
    thread_count = threads > 0 ? threads : 0;
}

int tensor_threads(void)
{
    static int cores; /* asking is a system call */
    if (!cores)
        cores = omp_get_num_procs();
    return thread_count > 0 ? thread_count : cores;
}

enum { MAX_SAVED_THREADS = 1024 };

#if defined(__x86_64__)
enum { FLUSH_AND_ZERO = 0x8040 };

static _Thread_local struct {
    bool running, workers;
    unsigned saved[MAX_SAVED_THREADS];
} flushing;

static void flush_thread(unsigned *saved)
{
    *saved = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(*saved | FLUSH_AND_ZERO);
}

static void flush_workers(void)
{
    if (!flushing.running || flushing.workers)
        return;
    unsigned *saved = flushing.saved;
    __builtin_ia32_ldmxcsr(saved[0]); /* threads that the loop starts inherit the state */
#pragma omp parallel num_threads(tensor_threads())
    {
        int thread = omp_get_thread_num();
        if (thread < MAX_SAVED_THREADS)
            flush_thread(&saved[thread]);
    }
    flushing.workers = true;
}

void start_flushing(void)
{
    flushing.running = true;
    flushing.workers = false;
    flush_thread(&flushing.saved[0]);
}

void stop_flushing(void)
{
    unsigned *saved = flushing.saved;
    if (flushing.workers) {
#pragma omp parallel num_threads(tensor_threads())
        {
            int thread = omp_get_thread_num();
            if (thread > 0 && thread < MAX_SAVED_THREADS)
                __builtin_ia32_ldmxcsr(saved[thread]);
        }
    }
    __builtin_ia32_ldmxcsr(saved[0]);
    flushing.running = false;
}
#else
static void flush_workers(void)
{
}

void start_flushing(void)
{
}

void stop_flushing(void)
{
}
#endif

int threads_for(double work)
{
    int threads = work < 20000 ? 1 : tensor_threads();
    if (threads > 1)
        flush_workers();
    return threads;
}
