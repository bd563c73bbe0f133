// system.h - what the machine has left for us.
#pragma once
#include <stdint.h>

// Bytes that could be allocated and used without swapping: the system's MemAvailable, or less where
// this process's control group allows less; without the pages of files that this process has
// mapped and touched, which both count as free. UINT64_MAX if nobody says.
uint64_t system_memory_available(void);
