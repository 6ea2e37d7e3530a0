// Linear layers with what follows them. All of the weight passes by some rows, which stay in the cache meanwhile.
#include "vector.hpp"

enum { MANY = 8 * ROWS };  // rows at a time

enum Then { NOTHING, GELU, GATE };

template <Then THEN>
static bool multiplied(float* out, const float* x, const float* weight, const float* bias, const float* other,
                       long begin, long end, long rows, long depth, long width) {
  float* spare = (float*)malloc(ROWS * depth * sizeof(float));
  if (!spare) return false;
  for (long start = begin * MANY; start < least(end * MANY, rows); start += MANY)
    for (long panel = 0; panel < width; panel += PANEL)
      for (long row = start; row < least(start + MANY, rows); row += ROWS) {
        const float* from = in_rows(spare, x, row, rows, depth);
        v8 sums[ROWS][2];
        for (int i = 0; i < ROWS; i++)
          for (int j = 0; j < 2; j++) sums[i][j] = load(bias + panel + j * WIDTH);
        multiply(sums, from, depth, weight + panel * depth, PANEL, depth);
        for (long i = 0; i < least(ROWS, rows - row); i++)
          if (THEN == GATE) {
            store(out + ((row + i) * width + panel) / 2, sums[i][0] * sigmoid(sums[i][1]));
          } else {
            for (long j = 0, at = (row + i) * width + panel; j < 2; j++, at += WIDTH) {
              v8 y = THEN == GELU ? gelu(sums[i][j]) : sums[i][j];
              store(out + at, other ? y + load(other + at) : y);
            }
          }
      }
  return free(spare), true;
}

// out = x (rows, depth) by weight, panels (depth, 16), then GELU of it or, of 8 values and their gates in turns, these
// gated: (rows, width), or half as many; plus `other`, where there is one and no gate.
EXPORT bool linear(float* out, const float* x, const float* weight, const float* bias, const float* other, int then,
                   long rows, long depth, long width, long threads) {
  return parallel(threads, over(rows, MANY), [=](long begin, long end) {
    const auto step = then == GATE ? multiplied<GATE> : then == GELU ? multiplied<GELU> : multiplied<NOTHING>;
    return step(out, x, weight, bias, other, begin, end, rows, depth, width);
  });
}
