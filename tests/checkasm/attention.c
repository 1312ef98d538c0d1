/* Attention: its steps against their formulas in float64. Panels are scratch of whole vectors, which lie where they want to. */
#include "checkasm.h"

static ptrdiff_t some_vectors(void) { return between(1, tested->tile->vectors); }

static real *aligned(ptrdiff_t count, double low, double high, array_role role)
{
    real *const x = claim(count, SIZE, KIND, role, tested->lanes * SIZE);
    for (ptrdiff_t i = 0; i < count; i++)
        put_number(x + i, uniform(low, high));
    return x;
}

void NAME(check_attention_scale)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = integers(count, RESULT);
    for (ptrdiff_t i = 0; i < count; i++)
        want(x)[i] = (number)1.25 * x[i];
    CALL(attention, scale)(count, 1.25, x);
    verify();
}

void NAME(check_attention_mask)(void)
{
    const ptrdiff_t vectors = some_vectors(), width = vectors * lanes(), keys = between(0, 70);
    const ptrdiff_t diagonal = between(-80, 80), kind = between(0, 2);
    real *const s = aligned(keys * width, -9, 9, RESULT);
    real *const added = kind == 1 ? aligned(keys * width, -9, 9, INPUT) : NULL;
    real *const bounds = kind == 2 ? aligned(keys * width, 0, 1, INPUT) : NULL;
    for (ptrdiff_t p = 0; p < keys; p++)
        for (ptrdiff_t i = 0; i < width; i++) {
            const ptrdiff_t at = p * width + i;
            if (bounds)
                put_number(bounds + at, one_in(3) ? -INFINITY : INFINITY);
            want(s)[at] = (number)(s[at] + (added ? added[at] / log(2) : 0));
            if ((bounds && bounds[at] < 0) || i < p - diagonal)
                want(s)[at] = -INFINITY;
        }
    tolerate(4, 32 * EPS);
    CALL(attention, mask)(keys, vectors, added, bounds, diagonal, s);
    verify();
}

void NAME(check_attention_bounds)(void)
{
    const ptrdiff_t vectors = some_vectors(), width = vectors * lanes(), keys = between(0, 70);
    const ptrdiff_t queries = between(width - lanes() + 1, width);
    const view x = VIEW((ANY_STRIDES & ~ODD) | BYTES, INPUT, queries, keys);
    real *const to = aligned(keys * width, 0, 1, RESULT);
    for (ptrdiff_t p = 0; p < keys; p++)
        for (ptrdiff_t i = 0; i < width; i++)
            want(to)[p * width + i] =
                i < queries && *(uint8_t *)(x.data + i * x.strides[0] + p * x.strides[1]) ? INFINITY : -INFINITY;
    CALL(attention, bounds)(keys, queries, vectors, x.data, x.strides[1], x.strides[0], to);
    verify();
}

static attention_state some_state(ptrdiff_t rows, ptrdiff_t width, array_role role)
{
    attention_state state = {aligned(width, -9, 9, role), aligned(width, 1, 9, role),
                             aligned(rows * width, -3, 3, role)};
    for (ptrdiff_t i = 0; i < width; i++)
        if (one_in(4)) {
            put_number(state.most + i, -INFINITY);
            put_number(state.sum + i, 0);
            for (ptrdiff_t c = 0; c < rows; c++)
                put_number(state.o + c * width + i, 0);
        }
    return state;
}

static double power(double x, double base) { return exp2(x - (base == -INFINITY ? 0 : base)); }

void NAME(check_attention_weights)(void)
{
    const ptrdiff_t vectors = some_vectors(), width = vectors * lanes(), keys = between(0, 70);
    real *const s = aligned(keys * width, -30, 30, RESULT);
    const attention_state state = some_state(0, width, RESULT);
    real *const factor = aligned(width, 0, 1, RESULT);
    int changed = 0;
    for (ptrdiff_t i = 0; i < width; i++) {
        double most = state.most[i];
        for (ptrdiff_t p = 0; p < keys; p++) {
            if (one_in(9))
                put_number(s + p * width + i, -INFINITY);
            most = s[p * width + i] > most ? s[p * width + i] : most;
        }
        want(factor)[i] = (number)power(state.most[i], most);
        changed |= want(factor)[i] != 1;
        double sum = state.sum[i] * power(state.most[i], most);
        for (ptrdiff_t p = 0; p < keys; p++) {
            sum += power(s[p * width + i], most);
            want(s)[p * width + i] = (number)power(s[p * width + i], most);
        }
        want(state.most)[i] = (number)most;
        want(state.sum)[i] = (number)sum;
    }
    tolerate(96, 0);
    same(CALL(attention, weights)(keys, vectors, s, &state, factor), changed, FLOAT64);
    verify();
}

void NAME(check_attention_rescale)(void)
{
    const ptrdiff_t vectors = some_vectors(), width = vectors * lanes(), rows = between(0, 20);
    real *const o = aligned(rows * width, -3, 3, RESULT), *const factor = aligned(width, 0, 1, INPUT);
    for (ptrdiff_t i = 0; i < rows * width; i++)
        want(o)[i] = o[i] * factor[i % width];
    CALL(attention, rescale)(rows, vectors, factor, o);
    verify();
}

void NAME(check_attention_merge)(void)
{
    const ptrdiff_t vectors = some_vectors(), width = vectors * lanes(), rows = between(0, 20);
    const attention_state state = some_state(rows, width, RESULT), other = some_state(rows, width, INPUT);
    for (ptrdiff_t i = 0; i < width; i++) {
        const double most = state.most[i] > other.most[i] ? state.most[i] : other.most[i];
        const double left = power(state.most[i], most), right = power(other.most[i], most);
        want(state.most)[i] = (number)most;
        want(state.sum)[i] = (number)(state.sum[i] * left + other.sum[i] * right);
        for (ptrdiff_t c = i; c < rows * width; c += width)
            want(state.o)[c] = (number)(state.o[c] * left + other.o[c] * right);
    }
    tolerate(32, 96 * EPS);
    CALL(attention, merge)(rows, vectors, &state, &other);
    verify();
}

void NAME(check_attention_finish)(void)
{
    const ptrdiff_t vectors = some_vectors(), width = vectors * lanes(), rows = between(0, 20);
    const attention_state state = some_state(rows, width, RESULT);
    const int broken = rows > 0 && one_in(3);
    if (broken) {
        put_number(state.o + between(0, rows * width - 1), INFINITY);
        for (ptrdiff_t i = 0; i < width; i++)
            if (state.sum[i] == 0)
                put_number(state.sum + i, 1), put_number(state.most + i, 1);
    }
    for (ptrdiff_t i = 0; i < width; i++) {
        const double sum = state.sum[i];
        want(state.most)[i] = (number)(sum == 0 ? INFINITY : state.most[i] + log2(sum));
        for (ptrdiff_t c = i; c < rows * width; c += width)
            want(state.o)[c] = sum == 0 ? 0 : (number)(state.o[c] / sum);
    }
    tolerate(8, 64 * EPS);
    same(CALL(attention, finish)(rows, vectors, &state), !broken, FLOAT64);
    verify();
}

void NAME(check_attention_row_weights)(void)
{
    const ptrdiff_t count = some_count(1), kind = between(0, 2), stride = kind == 1 ? between(1, 3) * SIZE : 3;
    real *const s = numbers(count, -30, 30, RESULT), *const most = numbers(1, -9, 9, RESULT);
    real *const sum = numbers(1, 1, 9, RESULT);
    char *const given = (char *)claim(count * stride, 1, OTHER, INPUT, 1);
    double *const scores = doubles(count, 0, 1, SCRATCH), largest = *most, total;
    for (ptrdiff_t p = 0; p < count; p++) {
        scores[p] = s[p];
        if (kind == 1) {
            put_number((real *)(given + p * stride), uniform(-9, 9));
            scores[p] += *(real *)(given + p * stride) / log(2);
        } else if (kind == 2) {
            given[p * stride] = want(given)[p * stride] = (char)one_in(2);
            scores[p] = given[p * stride] ? s[p] : -INFINITY;
        }
        largest = scores[p] > largest ? scores[p] : largest;
    }
    const double factor = exp2(*most - largest);
    total = *sum * factor;
    for (ptrdiff_t p = 0; p < count; p++) {
        total += exp2(scores[p] - largest);
        want(s)[p] = (number)exp2(scores[p] - largest);
    }
    *want(most) = (number)largest, *want(sum) = (number)total;
    tolerate(96, 0);
    same(CALL(attention, row_weights)(count, kind == 1 ? given : NULL, kind == 2 ? given : NULL, stride, s, most, sum),
         (number)factor, KIND);
    verify();
}

void NAME(check_attention_lane_dots)(void)
{
    const ptrdiff_t vectors = some_vectors(), width = vectors * lanes(), rows = between(0, 20);
    real *const a = aligned(rows * width, -3, 3, INPUT), *const b = aligned(rows * width, -3, 3, INPUT);
    real *const sums = aligned(width, 0, 1, RESULT);
    for (ptrdiff_t i = 0; i < width; i++) {
        double sum = 0;
        for (ptrdiff_t c = i; c < rows * width; c += width)
            sum += (double)a[c] * b[c];
        want(sums)[i] = (number)sum;
    }
    tolerate(4, 200 * EPS);
    CALL(attention, lane_dots)(rows, vectors, a, b, sums);
    verify();
}

void NAME(check_attention_gradient)(void)
{
    const ptrdiff_t vectors = some_vectors(), width = vectors * lanes(), keys = between(0, 70);
    real *const s = aligned(keys * width, -30, 0, RESULT), *const d = aligned(keys * width, -3, 3, RESULT);
    real *const most = aligned(width, 0, 9, INPUT), *const less = aligned(width, -1, 1, INPUT);
    for (ptrdiff_t i = 0; i < keys * width; i++) {
        if (one_in(9)) {
            put_number(s + i, -INFINITY);
            put_number(d + i, INFINITY);
        }
        const double w = exp2(s[i] - most[i % width]);
        want(s)[i] = (number)w;
        want(d)[i] = w == 0 ? 0 : (number)(w * (d[i] - less[i % width]));
    }
    tolerate(96, 96 * EPS);
    CALL(attention, gradient)(keys, vectors, most, less, s, d);
    verify();
}

void NAME(check_attention_weighted)(void)
{
    const ptrdiff_t m = between(0, 12), n = some_count(1), k = between(0, 40), in_a = one_in(2), started = one_in(2);
    const ptrdiff_t a_step = one_in(2) ? 1 : m, a_row = a_step == 1 ? k : 1;
    real *const a = integers(m * k, INPUT), *const b = integers(k * n, INPUT), *const c = integers(m * n, RESULT);
    if (m > 0 && k > 0)
        put_number(in_a ? b + between(0, k * n - 1) : a + between(0, m * k - 1), INFINITY);
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = started ? c[i * n + j] : 0;
            for (ptrdiff_t p = 0; p < k; p++) {
                const double left = a[i * a_row + p * a_step], right = b[p * n + j];
                sum += (in_a ? left : right) == 0 ? 0 : left * right;
            }
            want(c)[i * n + j] = (number)sum;
        }
    CALL(attention, weighted)((int)in_a, m, n, k, a, a_row, a_step, b, n, c, n, started ? START_C : START_ZERO);
    verify();
}

void NAME(check_attention_finite)(void)
{
    const ptrdiff_t rows = between(0, 9), columns = some_count(0);
    const view x = VIEW(ANY_STRIDES & ~STILL, INPUT, rows, columns);
    const int broken = rows * columns > 0 && one_in(2);
    if (broken)
        put_number(AT(x, between(0, rows - 1), between(0, columns - 1)), one_in(2) ? NAN : -INFINITY);
    same(CALL(attention, finite)(rows, columns, x.data, x.strides[0], x.strides[1]), !broken, FLOAT64);
    verify();
}

void NAME(check_gather_rows)(void)
{
    const ptrdiff_t m = between(1, 20), columns = some_count(0), count = between(0, 12), streamed = one_in(3);
    const view w = VIEW(ANY_STRIDES | CLOSE, INPUT, m, columns);
    int64_t *const rows = claim(count, sizeof *rows, OTHER, INPUT, sizeof *rows);
    real *const y = results(count * columns);
    for (ptrdiff_t i = 0; i < count; i++) {
        rows[i] = want(rows)[i] = between(0, m - 1);
        for (ptrdiff_t j = 0; j < columns; j++)
            want(y)[i * columns + j] = *AT(w, rows[i], j);
    }
    CALL(embedding, gather)(count, columns, w.data, w.strides[0], rows, (int)streamed, y);
    tested->fence();
    verify();
}
