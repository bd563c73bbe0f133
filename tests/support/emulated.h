// emulated.h - tables of instruction sets that this CPU may lack, with their one new instruction
// written out in older ones, so that all other code of theirs is tested everywhere.
#pragma once
#include <stdbool.h>

#include "local/kernels/kernels.h"

// False where even the older ones (AVX2) are missing.
bool emulated_avx2_vnni(struct kernels *k);
bool emulated_amx_int8(struct kernels *k);  // not from several threads
