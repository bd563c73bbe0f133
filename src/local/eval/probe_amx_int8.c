// probe_amx_int8.c - 8-bit products of whole tiles, all in registers.
#if defined(__AMX_INT8__)
#include <immintrin.h>
#include <stdint.h>

#include "local/eval/probe.h"

double probe_int8_amx_int8(long n, int *sink)
{
    enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };
    struct {
        uint8_t palette, start_row, zero[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    _Alignas(64) int8_t tile[ROWS * ROW_BYTES];
    for (int i = 0; i < TILES; i++) {
        config.row_bytes[i] = ROW_BYTES;
        config.rows[i] = ROWS;
    }
    for (int i = 0; i < ROWS * ROW_BYTES; i++)
        tile[i] = (int8_t)(i + *sink);
    __asm__ volatile("" : : "r"(&config) : "memory");  // gcc 12 believes 8 bytes of it are read
    _tile_loadconfig(&config);
    _tile_loadd(4, tile, ROW_BYTES);
    _tile_loadd(5, tile, ROW_BYTES);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    long rounds = n / 16;  // a round is 16 times as much work as one of the other sets
    for (long r = 0; r < rounds; r++) {
        _tile_dpbssd(0, 4, 5);
        _tile_dpbssd(1, 4, 5);
        _tile_dpbssd(2, 4, 5);
        _tile_dpbssd(3, 4, 5);
    }
    _tile_stored(0, tile, ROW_BYTES);
    _tile_release();
    *sink = tile[0];
    return (double)rounds * 4 * ROWS * ROWS * ROW_BYTES * 2;
}
#else
typedef int no_amx_int8;
#endif
