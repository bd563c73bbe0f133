// system.h - what the machine has left for us, and what we leave it.
#pragma once
#include <pthread.h>
#include <stdint.h>

// Bytes that could be allocated and used without swapping: the system's MemAvailable, or less where
// this process's control group, or one above it, allows less; without the pages of files that this
// process has mapped and touched, which both count as free. UINT64_MAX if nobody says.
uint64_t system_memory_available(void);
// The calling thread gives way to the process's other threads from now on: for what nobody waits
// for. Where the system has no such thing (only Linux has), nothing.
void system_give_way(void);
// As pthread_create, of a thread that no signal goes to: they are for the other threads. Returns
// what that does.
int system_thread_start(pthread_t *thread, void *(*run)(void *self), void *self);
