#include "parts.h"
#include "primitives.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Philox4x32-10: a block of four 32-bit numbers is a function of a counter and a key, ten rounds of multiplications and
 * exclusive or. Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Sixteen blocks make a
 * group: number w of block j is that of element 16 w + j.
 *
 * A lane holds a number in its low half; what is in the high half is never looked at. */
enum { ROUNDS = 10, BLOCKS = 16, WORDS = 4, WIDE_LANES = VECTOR_BYTES / 8 };
typedef uint64_t vwords __attribute__((vector_size(VECTOR_BYTES)));
typedef uint8_t vwords_bytes __attribute__((vector_size(WIDE_LANES)));

static const uint64_t LOW = 0xffffffff;

/* The products of the low halves: one instruction, for which compilers take several. */
#if defined __AVX512F__
INLINE vwords low_product(vwords a, uint64_t b)
{
    return (vwords)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64((int64_t)b));
}
#elif defined __AVX2__
INLINE vwords low_product(vwords a, uint64_t b)
{
    return (vwords)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x((int64_t)b));
}
#elif defined __SSE2__
INLINE vwords low_product(vwords a, uint64_t b)
{
    return (vwords)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x((int64_t)b));
}
#else
INLINE vwords low_product(vwords a, uint64_t b) { return (a & LOW) * b; }
#endif

/* The numbers of the blocks from `block` on, one block a lane. */
INLINE void philox(uint64_t key, uint64_t block, vwords word[WORDS])
{
    uint64_t first_key = key & LOW, second_key = key >> 32;
    vwords lane;
    UNROLL for (int l = 0; l < WIDE_LANES; l++) lane[l] = (uint64_t)l;
    const vwords counter = block + lane;
    word[0] = counter, word[1] = counter >> 32, word[2] = word[3] = (vwords){0};
    UNROLL for (int round = 0; round < ROUNDS; round++)
    {
        const vwords a = low_product(word[0], 0xD2511F53), b = low_product(word[2], 0xCD9E8D57);
        word[0] = (b >> 32) ^ word[1] ^ first_key;
        word[1] = b;
        word[2] = (a >> 32) ^ word[3] ^ second_key;
        word[3] = a;
        first_key = (first_key + 0x9E3779B9) & LOW;
        second_key = (second_key + 0xBB67AE85) & LOW;
    }
}

INLINE void draw_group(uint64_t key, uint64_t kept, uint64_t group, uint8_t mask[DROPOUT_GROUP])
{
    for (int block = 0; block < BLOCKS; block += WIDE_LANES) {
        vwords word[WORDS];
        philox(key, group * BLOCKS + (uint64_t)block, word);
        UNROLL for (int w = 0; w < WORDS; w++)
        {
            const vwords below = ((word[w] & LOW) - kept) >> 63; /* the sign of the difference: 1 if it is negative */
            const vwords_bytes bytes = __builtin_convertvector(below, vwords_bytes);
            memcpy(mask + w * BLOCKS + block, &bytes, sizeof bytes);
        }
    }
}

static void draw(uint64_t key, uint64_t kept, ptrdiff_t first, ptrdiff_t count, uint8_t *mask)
{
    assert(first >= 0 && first % DROPOUT_GROUP == 0 && count >= 0 && kept <= LOW + 1);
    uint64_t group = (uint64_t)first / DROPOUT_GROUP;
    for (; count >= DROPOUT_GROUP; count -= DROPOUT_GROUP, mask += DROPOUT_GROUP)
        draw_group(key, kept, group++, mask);
    if (count > 0) {
        uint8_t last[DROPOUT_GROUP];
        draw_group(key, kept, group, last);
        memcpy(mask, last, (size_t)count);
    }
}

typedef int8_t vbytes __attribute__((vector_size(LANES)));

INLINE vreal kept_or_zero(vreal x, const uint8_t *mask, number scale)
{
    vbytes bytes;
    memcpy(&bytes, mask, sizeof bytes);
    return vselect(__builtin_convertvector(bytes, vint) != 0, x * scale, (vreal){0});
}

static void apply(ptrdiff_t count, const real *x, const uint8_t *mask, double scale, real *y)
{
    assert(count >= 0);
    const number factor = (number)scale;
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, kept_or_zero(vload(x + i), mask + i, factor));
    if (i < count) {
        uint8_t last[LANES] = {0};
        memcpy(last, mask + i, (size_t)(count - i));
        vstore_part(y + i, kept_or_zero(vload_part(x + i, count - i), last, factor), count - i);
    }
}

const dropout_primitives NAME(dropout) = {.draw = draw, .apply = apply};
