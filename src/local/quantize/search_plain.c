// search_plain.c - the search for scales in plain C.
#define FIT_BLOCK fit_block_plain
#include "local/quantize/search.inc"
