// scalar.h - the parts of the scalar table.
#pragma once

struct kernels;

void matmul_use_scalar(struct kernels *k);
void attention_use_scalar(struct kernels *k);
