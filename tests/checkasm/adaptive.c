/* Adaptive pooling: rows folded into lines, pixels of lines into windows, shares spread over the elements that see them. */
#include "checkasm.h"

/* Numbers with ties, some of them NaN or infinite */
static void put_some(real *p) { put_number(p, one_in(12) ? (one_in(2) ? NAN : -INFINITY) : (double)between(-2, 2)); }

static int is_better(number value, number best) { return best == best && (value != value || value > best); }

/* Rows whose numbers are contiguous */
static view some_rows(ptrdiff_t rows, ptrdiff_t count, int ties)
{
    const view x = VIEW(GAPS | BACK | CLOSE, INPUT, rows, count);
    for (ptrdiff_t r = 0; r < rows && ties; r++)
        for (ptrdiff_t c = 0; c < count; c++)
            put_some(AT(x, r, c));
    return x;
}

void NAME(check_adaptive_fold)(void)
{
    const ptrdiff_t rows = between(1, 6), count = some_count(0);
    const int mean = one_in(2);
    const view x = some_rows(rows, count, !mean);
    real *const line = results(count);
    for (ptrdiff_t c = 0; c < count; c++) {
        number all = *AT(x, 0, c);
        for (ptrdiff_t r = 1; r < rows; r++) {
            const number value = *AT(x, r, c);
            all = mean ? all + value : is_better(value, all) ? value : all;
        }
        want(line)[c] = all;
    }
    detail("%td rows of %td, %s", rows, count, mean ? "sums" : "maxima");
    CALL(adaptive, fold)(mean, x.data, x.strides[0], rows, count, line);
    verify();
}

void NAME(check_adaptive_fold_places)(void)
{
    const ptrdiff_t rows = between(1, 6), count = some_count(0), place = between(0, 100), step = between(1, 50);
    const view x = some_rows(rows, count, 1);
    real *const line = results(count), *const places_ = results(count);
    for (ptrdiff_t c = 0; c < count; c++) {
        ptrdiff_t first = 0;
        for (ptrdiff_t r = 1; r < rows; r++)
            if (is_better(*AT(x, r, c), *AT(x, first, c)))
                first = r;
        const bits at = (bits)(place + first * step);
        want(line)[c] = *AT(x, first, c);
        memcpy((void *)(want(places_) + c), &at, sizeof at);
    }
    detail("%td rows of %td from %td, %td", rows, count, place, step);
    CALL(adaptive, fold_places)(x.data, x.strides[0], rows, place, step, count, line, places_);
    verify();
}

/* A line of pixels, and windows over it */
typedef struct {
    ptrdiff_t pixels, planes, pitch, count, width;
    real *line;
    interval *columns;
} line_case;

static line_case some_line(void)
{
    line_case v = {.pixels = between(1, 12), .planes = between(1, 3 * lanes()), .count = between(0, 6)};
    v.pitch = v.planes + between(0, 2);
    v.width = up_to(v.planes, lanes());
    v.line = integers(v.pixels * v.pitch + lanes(), INPUT);
    v.columns = claim(v.count, sizeof *v.columns, OTHER, INPUT, sizeof(ptrdiff_t));
    for (ptrdiff_t j = 0; j < v.count; j++) {
        const ptrdiff_t first = between(0, v.pixels - 1);
        v.columns[j] = want(v.columns)[j] = (interval){first, between(first + 1, v.pixels)};
    }
    detail("%td pixels of %td planes, %td apart, %td windows", v.pixels, v.planes, v.pitch, v.count);
    return v;
}

/* Lanes beyond the last plane are anything. */
static void leave_lanes_open(const line_case *v, const real *y)
{
    for (ptrdiff_t j = 0; j < v->count; j++)
        leave_open(y + j * v->width + v->planes, v->width - v->planes);
}

void NAME(check_adaptive_along)(void)
{
    const line_case v = some_line();
    const int mean = one_in(2), divided = one_in(2);
    real *const heights = integers(lanes(), INPUT), *const y = results(v.count * v.width);
    for (ptrdiff_t l = 0; l < lanes(); l++)
        put_number(heights + l, (double)between(1, 9));
    for (ptrdiff_t k = 0; k < v.count * v.planes; k++) {
        const ptrdiff_t j = k / v.planes, p = k % v.planes, first = v.columns[j].first, last = v.columns[j].last;
        number all = v.line[first * v.pitch + p];
        for (ptrdiff_t c = first + 1; c < last; c++) {
            const number value = v.line[c * v.pitch + p];
            all = mean ? all + value : value > all ? value : all;
        }
        want(y)[j * v.width + p] = mean && divided ? all / (heights[p % lanes()] * (number)(last - first)) : all;
    }
    CALL(adaptive, along)(mean, v.columns, v.count, v.planes, v.pitch, divided ? heights : NULL, v.line, y);
    leave_lanes_open(&v, y);
    verify();
}

void NAME(check_adaptive_along_places)(void)
{
    const line_case v = some_line();
    const ptrdiff_t numbers_ = v.pixels * v.pitch + lanes();
    real *const at = nothing(numbers_, INPUT), *const y = results(v.count * v.width),
                *const to = results(v.count * v.width);
    for (ptrdiff_t i = 0; i < numbers_; i++) {
        const bits place = (bits)(100 * between(0, 2));
        put_some(v.line + i);
        memcpy((void *)(at + i), &place, sizeof place);
        memcpy((void *)(want(at) + i), &place, sizeof place);
    }
    for (ptrdiff_t k = 0; k < v.count * v.planes; k++) {
        const ptrdiff_t j = k / v.planes, p = k % v.planes;
        number most = 0;
        bits first = 0;
        for (ptrdiff_t c = v.columns[j].first; c < v.columns[j].last; c++) {
            const number value = v.line[c * v.pitch + p];
            bits place;
            memcpy(&place, (void *)(at + c * v.pitch + p), sizeof place);
            place += (bits)c;
            const int tie = value == most || (value != value && most != most);
            if (c == v.columns[j].first || is_better(value, most) || (tie && place < first))
                most = value, first = place;
        }
        want(y)[j * v.width + p] = most;
        memcpy((void *)(want(to) + j * v.width + p), &first, sizeof first);
    }
    CALL(adaptive, along_places)(v.columns, v.count, v.planes, v.pitch, v.line, at, y, to);
    leave_lanes_open(&v, y);
    leave_lanes_open(&v, to);
    verify();
}

void NAME(check_narrow_places)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = nothing(count, INPUT);
    int32_t *const to = places(count, 0, 3, RESULT);
    for (ptrdiff_t i = 0; i < count; i++) {
        const bits place = (bits)between(0, INT32_MAX);
        memcpy((void *)(x + i), &place, sizeof place);
        memcpy((void *)(want(x) + i), &place, sizeof place);
        want(to)[i] = (int32_t)place;
    }
    CALL(adaptive, narrow_places)(count, x, to);
    verify();
}

void NAME(check_shares)(void)
{
    const ptrdiff_t planes = one_in(2) ? 1 : between(1, 3) * lanes(), count = some_count(0), height = between(1, 20);
    const real *const dy = integers(count * planes, INPUT);
    real *const to = results(count * planes);
    interval *const columns = claim(count, sizeof *columns, OTHER, INPUT, sizeof(ptrdiff_t));
    for (ptrdiff_t j = 0; j < count; j++) {
        columns[j] = want(columns)[j] = (interval){j, j + between(1, 9)};
        for (ptrdiff_t p = 0; p < planes; p++)
            want(to)[j * planes + p] = dy[j * planes + p] / (number)(height * (columns[j].last - j));
    }
    detail("%td windows of %td planes", count, planes);
    CALL(adaptive, shares)(columns, count, planes, height, dy, to);
    verify();
}

void NAME(check_spread_runs)(void)
{
    const ptrdiff_t count = some_count(1), windows = between(1, 20);
    const real *const line = integers(windows, INPUT);
    real *const row = results(count);
    run_of_elements *const runs = claim(count, sizeof *runs, OTHER, INPUT, sizeof(ptrdiff_t));
    ptrdiff_t used = 0;
    for (ptrdiff_t c = 0; c < count; used++) {
        const ptrdiff_t first = between(0, windows - 1);
        run_of_elements run = {{first, between(first + 1, windows)}, between(1, one_in(4) ? 70 : 5)};
        run.count = run.count < count - c ? run.count : count - c;
        runs[used] = want(runs)[used] = run;
        for (const ptrdiff_t end = c + run.count; c < end; c++)
            for (ptrdiff_t j = first; j < run.windows.last; j++)
                want(row)[c] = (j == first ? 0 : want(row)[c]) + line[j];
    }
    detail("%td elements in %td runs of %td windows", count, used, windows);
    CALL(adaptive, spread_runs)(runs, count, line, row);
    verify();
}
