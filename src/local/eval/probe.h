// probe.h - what this machine can do at best, to stand beside what a model reaches.
//
// Short (some tens of milliseconds a sample) and best of several: a busy neighbour shows as less,
// never as more.
#pragma once

// Bytes a second that `threads` threads read from memory far larger than the caches, in 1e9.
double probe_read_gbytes_per_s(int threads);
// Multiplications and additions of 8-bit integers a second, in 1e12, by the widest instructions
// that products use here (TDPBSSD of whole tiles, else VPDPBUSD, else VPMADDUBSW as for 4-bit
// weights, else plain C).
double probe_int8_tops(int threads);

// Cores this process may use.
int probe_cores(void);

// One instruction set a file: n rounds, returns the operations done. *sink keeps them from being
// optimized away.
double probe_int8_scalar(long n, int *sink);
double probe_int8_avx2(long n, int *sink);
double probe_int8_avx512_vnni(long n, int *sink);
double probe_int8_amx_int8(long n, int *sink);
