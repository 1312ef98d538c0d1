/* tile: C = start + A . B, as k rank-1 updates held in registers.
 *
 *   a   a[i * a_row + p * a_step]: rows of A where they lie, a packed panel, or every LANES-th number of a row
 *   b   b[p * b_stride + j], readable up to j = vectors * LANES - 1, whatever lies there; a packed panel or rows of B where
 *       they lie. Tiles by runs, taps and lines read whole vectors of B, too.
 *   c   c[i * c_stride + j], written for i < rows and (vectors - 1) * LANES < columns <= vectors * LANES
 *   start says where the accumulators begin; START_C continues a product whose k was split. Every element is one
 *   chain of multiply-adds in ascending p, whatever the blocking: blocks change speed, never bits.
 *   ADD_TO_C: a chain begins at 0 and is added to C, for elements that are sums of chains: for each block of k (product.pyx)
 *   LANES chains, of every LANES-th p each, added in ascending order, the first one starting from the bias. A few rows
 *   times a long B are such sums so that a vector of B is one step of all chains; so are more rows, to the same bits.
 *
 * Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008. */
#ifndef NPK_TILE_H
#define NPK_TILE_H

enum { START_ZERO, START_C, START_ROW_BIAS, START_COLUMN_BIAS, ADD_TO_C };

/* A block of columns of B is packed into panels, one after the other, each k x (its vectors * lanes). Its vectors are
 * split evenly, so that 4 are 2 + 2 and not 3 + 1: panel q holds the vectors from panel_start(q) to panel_start(q + 1). */
static inline ptrdiff_t panel_count(ptrdiff_t vectors, ptrdiff_t widest) { return (vectors + widest - 1) / widest; }
static inline ptrdiff_t panel_start(ptrdiff_t vectors, ptrdiff_t panels, ptrdiff_t q) { return vectors * q / panels; }
enum { BLOCK_PANELS = 8 }; /* the most in a block */

typedef void (*tile_fn)(ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_step, const real *b,
                        ptrdiff_t b_stride, real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start,
                        const real *bias);

/* The same for rows of B that start anywhere: b[runs[p] + j]; rows of A are contiguous. */
typedef void (*tile_runs_fn)(ptrdiff_t k, const real *a, ptrdiff_t a_row, const real *b, const ptrdiff_t *runs, real *c,
                             ptrdiff_t c_stride, ptrdiff_t columns, int start, const real *bias);

/* Taps of windows, the same of each channel: those of a `group` of channels lie at a[places[t]], their rows of B at
 * b[lines[t]], t < group * count, and those of the next group a_group and b_group behind them. */
typedef struct {
    ptrdiff_t channels, group, count; /* count: of a channel */
    ptrdiff_t a_group, b_group;
    const ptrdiff_t *places, *lines;
} window_taps;

/* The same where rows of A are windows, a_row apart, and k runs over channels and taps; whole vectors of a packed B. */
typedef void (*tile_taps_fn)(const window_taps *taps, const real *a, ptrdiff_t a_row, const real *b, real *c,
                             ptrdiff_t c_stride, int start, const real *bias);

/* Pixels of pictures: distances of pictures, lines and columns of A and B, in elements. */
typedef struct {
    ptrdiff_t pictures, lines, width;
    ptrdiff_t a_picture, a_line, a_column;
    ptrdiff_t b_picture, b_line, b_column;
} picture_pixels;

/* The same where k runs over pixels p: row i of A is a[runs[i] + place of p in A], B is b[place of p in B + j]. No bias. */
typedef void (*tile_lines_fn)(const picture_pixels *pixels, const real *a, const ptrdiff_t *runs, const real *b,
                              real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start);

/* One row of A and of C, columns >= 1 of any number, B readable up to whole vectors: a column needs a chain of k, and k chains
 * at once hide its latency. No ADD_TO_C. */
typedef void (*row_runs_fn)(ptrdiff_t k, const real *a, const real *b, const ptrdiff_t *runs, real *c,
                            ptrdiff_t columns, int start, const real *bias);

#ifdef REAL_BITS
extern const tile_fn NAME(dots)[];
enum { DOTS_SIDE = LANES < 4 ? LANES : 4 };
enum { DOTS_ROWS = TILE_ROWS * TILE_VECTORS / DOTS_SIDE }; /* sums that registers hold */
#endif

typedef struct {
    ptrdiff_t rows, vectors; /* the largest tile */
    /* [rows - 1][vectors - 1] */
    const tile_fn *tiles;
    const tile_runs_fn *runs;
    const tile_taps_fn *taps;
    const tile_lines_fn *lines;
    row_runs_fn row_runs;
    /* One row and any number of columns, B where it lies, nothing beyond `columns` is read; no ADD_TO_C. */
    tile_fn row_lines;
    /* The same for few rows and a B whose columns are contiguous, b[j * b_stride + p] with j < columns: it is transposed
     * in registers on its way into the tile, read once and never packed. [rows - 1][vectors - 1] */
    const tile_fn *thin;
    /* The same as sums of chains, for any number of columns; a_step is 1, no START_C, no bias of rows. [rows - 1] */
    const tile_fn *dots;
    /* More rows of A are faster packed; of these, in how many at a time if they are not few. */
    ptrdiff_t dots_most, dots_rows;
} tile_primitives;

#endif
