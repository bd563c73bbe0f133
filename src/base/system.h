// system.h - what the machine has left for us, and what we leave it.
#pragma once
#include <stdint.h>

// Bytes that could be allocated and used without swapping: the system's MemAvailable, or less where
// this process's control group allows less; without the pages of files that this process has
// mapped and touched, which both count as free. UINT64_MAX if nobody says.
uint64_t system_memory_available(void);
// The calling thread gives way to the process's other threads from now on: for what nobody waits
// for. Where the system has no such thing (only Linux has), nothing.
void system_give_way(void);
