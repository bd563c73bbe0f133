#include "local/kernels/kernels.h"

#include <string.h>
#include <strings.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

enum act_form act_form_of(enum dtype type)
{
    switch (type) {
    case DTYPE_Q4_0: return ACT_Q8_OFFSET_8;
    case DTYPE_Q5_0:
    case DTYPE_MXFP4: return ACT_Q8_OFFSET_16;
    case DTYPE_Q8_0:
    case DTYPE_IQ4_NL:
    case DTYPE_IQ4_XS: return ACT_Q8_OFFSET_128;
    case DTYPE_Q4_1:
    case DTYPE_Q5_1:
    case DTYPE_Q4_K:
    case DTYPE_Q5_K: return ACT_Q8_MIN;
    case DTYPE_Q3_K:
    case DTYPE_Q6_K: return ACT_Q8_HALF;
    case DTYPE_Q2_K: return ACT_Q8_HALF_MIN;
    case DTYPE_F32:
    case DTYPE_F16:
    case DTYPE_BF16:
    case DTYPE_F8_E4M3:
    case DTYPE_COUNT: break;
    }
    return ACT_F32;
}

// Two panels unpacked to a byte and up to half a byte of scales a weight, accumulators of a tile.
size_t gemm_scratch(int cols)
{
    size_t all = (size_t)cols * (2 * PANEL_ROWS) * 3 / 2 + 8192;
    size_t least = (size_t)768 << 10;
    return ((all > least ? all : least) + 63) & ~(size_t)63;
}

#if defined(__x86_64__)
static uint64_t xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

// Linux saves tile registers only for programs that asked for them.
static bool tiles_allowed(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return (xcr0() & 0x60000) == 0x60000 &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

unsigned isa_detect(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    bool osxsave = c >> 27 & 1, avx = c >> 28 & 1, fma = c >> 12 & 1, f16c = c >> 29 & 1;
    if (!osxsave || !avx || !fma || !f16c || (xcr0() & 0x6) != 0x6)
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b >> 5 & 1))
        return 0;
    unsigned isa = ISA_AVX2, sub_leaf = a;
    bool f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1, vnni = c >> 11 & 1;
    if (f && dq && bw && vl && (xcr0() & 0xe6) == 0xe6) {
        isa |= ISA_AVX512;
        if (vnni)
            isa |= ISA_AVX512_VNNI;
        if (vnni && (d >> 24 & 1) && (d >> 25 & 1) && tiles_allowed())
            isa |= ISA_AMX_INT8;
    }
    if (sub_leaf >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1))
        isa |= ISA_AVX2_VNNI;
    return isa;
}

unsigned denormals_off(void)
{
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040);  // FTZ and DAZ
    return old;
}

void denormals_restore(unsigned mode)
{
    _mm_setcsr(mode);
}
#elif defined(__aarch64__)
// Bits of the kernel's interface, which older C libraries do not name.
enum { CAP_DOTPROD = 1 << 20, CAP2_I8MM = 1 << 13 };

unsigned isa_detect(void)
{
    unsigned isa = ISA_NEON;
    if (getauxval(AT_HWCAP) & CAP_DOTPROD) {
        isa |= ISA_NEON_DOTPROD;
        if (getauxval(AT_HWCAP2) & CAP2_I8MM)
            isa |= ISA_NEON_I8MM;
    }
    return isa;
}

unsigned denormals_off(void)
{
    enum { FLUSH_TO_ZERO = 1 << 24 };
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | FLUSH_TO_ZERO));
    return (unsigned)old;
}

void denormals_restore(unsigned mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
}
#else
unsigned isa_detect(void)
{
    return 0;
}

unsigned denormals_off(void)
{
    return 0;
}

void denormals_restore(unsigned mode)
{
    (void)mode;
}
#endif

static const struct {
    const char *name;
    unsigned isa;
} names[] = {
    {"scalar", 0},
    {"avx2", ISA_AVX2},
    {"avx2_vnni", ISA_AVX2 | ISA_AVX2_VNNI},
    {"avx512", ISA_AVX2 | ISA_AVX512},
    {"avx512_vnni", ISA_AVX2 | ISA_AVX512 | ISA_AVX512_VNNI},
    {"amx_int8", ISA_AVX2 | ISA_AVX512 | ISA_AVX512_VNNI | ISA_AMX_INT8},
    {"neon", ISA_NEON},
    {"neon_dotprod", ISA_NEON | ISA_NEON_DOTPROD},
    {"neon_i8mm", ISA_NEON | ISA_NEON_DOTPROD | ISA_NEON_I8MM},
};
enum { N_NAMES = sizeof names / sizeof names[0] };

bool isa_from_name(const char *name, unsigned *isa)
{
    for (size_t i = 0; i < N_NAMES; i++)
        if (strcasecmp(name, names[i].name) == 0) {
            *isa = names[i].isa;
            return true;
        }
    return false;
}

const char *isa_name(size_t i)
{
    return i < N_NAMES ? names[i].name : NULL;
}

void kernels_init(struct kernels *k, unsigned isa)
{
    kernels_use_scalar(k);  // complete and always right; the rest is speed
#if defined(__x86_64__)
    if (isa & ISA_AVX2)
        kernels_use_avx2(k);  // overrides what it has, keeps the rest
    if (isa & ISA_AVX2_VNNI)
        kernels_use_avx2_vnni(k);
    if (isa & ISA_AVX512)
        kernels_use_avx512(k);
    if (isa & ISA_AVX512_VNNI)
        kernels_use_avx512_vnni(k);
    if (isa & ISA_AMX_INT8)
        kernels_use_amx_int8(k);
#elif defined(__aarch64__)
    if (isa & ISA_NEON)
        kernels_use_neon(k);
    if (isa & ISA_NEON_DOTPROD)
        kernels_use_neon_dotprod(k);
    if (isa & ISA_NEON_I8MM)
        kernels_use_neon_i8mm(k);
#else
    (void)isa;
#endif
}
