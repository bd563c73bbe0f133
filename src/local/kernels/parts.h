// parts.h - what the tables of the instruction sets are put together from.
#pragma once

struct gemm;
struct kernels;

void matmul_use_scalar(struct kernels *k);
void attention_use_scalar(struct kernels *k);

void matmul_use_avx2(struct kernels *k);
void matmul_use_avx512(struct kernels *k);
// Tiles of x whose header words are whole sums, for kernels that add 32-bit products (AVX2's have
// one of even and one of odd pairs of columns, in 16 bits each).
void act_use_sums(struct kernels *k);

void matmul_use_neon(struct kernels *k);

// Any block format, up to 7 rows of x a tile.
void gemm_avx512_vnni(const struct gemm *g, int first, int n, void *scratch);
