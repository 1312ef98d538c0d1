/* Cells of recurrent layers: what a step does with the sums of its gates, unit by unit.
 *
 * A row is one sequence at one step; `count` units of it begin at each pointer. The gates of a row lie `h` numbers apart, in
 * the order of torch.nn; the last step's state is h' and c', s is the logistic function.
 *
 *   LSTM   i, f, o = s(a_i), s(a_f), s(a_o); g = tanh a_g;   c = f c' + i g;   h = o tanh c
 *   GRU    r, z = s(a_r), s(a_z); n = tanh(a_n + r b_n);     h = n + z (h' - n);   b_n = W_hn h' + its bias, behind a_n
 *   RNN    h = tanh a, or max(0, a)
 *
 * Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997; Cho et al., "Learning phrase
 * representations using RNN encoder-decoder", EMNLP 2014. */
#ifndef NPK_RECURRENT_H
#define NPK_RECURRENT_H

typedef struct {
    /* gates: sums on the way in, what the functions make of them on the way out (b_n stays); `h_next` and `y` get the same. */
    void (*lstm)(ptrdiff_t count, ptrdiff_t h, real *gates, const real *cell, real *cell_next, real *h_next, real *y);
    void (*gru)(ptrdiff_t count, ptrdiff_t h, real *gates, const real *hidden, real *h_next, real *y);
    void (*rnn)(ptrdiff_t count, int relu, real *gates, real *h_next, real *y);
    /* The gradients da of these sums from that of h, which is dh + dy (dy may be NULL), and of c, dc, where gates are what came
     * out. dc becomes that of c', dh in a GRU the part z (dh + dy) of that of h'. da of a GRU ends with that of b_n. */
    void (*lstm_backward)(ptrdiff_t count, ptrdiff_t h, const real *gates, const real *cell, const real *dy,
                          const real *dh, real *dc, real *da);
    void (*gru_backward)(ptrdiff_t count, ptrdiff_t h, const real *gates, const real *hidden, const real *dy, real *dh,
                         real *da);
    void (*rnn_backward)(ptrdiff_t count, int relu, const real *gates, const real *dy, const real *dh, real *da);
    /* One row of A times a panel of B of up to ROW_PANEL vectors (tile.h): so many chains hide the latency of a multiply-add.
     * Starts are those of a tile but START_ROW_BIAS. */
    void (*row_panel)(ptrdiff_t k, const real *a, const real *b, ptrdiff_t vectors, real *c, ptrdiff_t columns,
                      int start, const real *bias);
} recurrent_primitives;

enum { ROW_PANEL = 8 };

#endif
