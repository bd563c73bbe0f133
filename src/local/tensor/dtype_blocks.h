// dtype_blocks.h - how one block of each block format reads as floats; used by dtype.c only.
//
// Each function reads one block at `b` (unaligned) and writes its values to `y`.
#pragma once

void q4_0_to_f32(const unsigned char *b, float *y);
void q4_1_to_f32(const unsigned char *b, float *y);
void q5_0_to_f32(const unsigned char *b, float *y);
void q5_1_to_f32(const unsigned char *b, float *y);
void q8_0_to_f32(const unsigned char *b, float *y);
void q2_k_to_f32(const unsigned char *b, float *y);
void q3_k_to_f32(const unsigned char *b, float *y);
void q4_k_to_f32(const unsigned char *b, float *y);
void q5_k_to_f32(const unsigned char *b, float *y);
void q6_k_to_f32(const unsigned char *b, float *y);
void iq4_nl_to_f32(const unsigned char *b, float *y);
void iq4_xs_to_f32(const unsigned char *b, float *y);
void mxfp4_to_f32(const unsigned char *b, float *y);
