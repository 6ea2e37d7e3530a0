// Convolutions 3 x 3 of a quarter of the products, with the gate after them, by Winograd's F(4 x 4, 3 x 3): 6 x 6
// inputs become as many sums, each of these is multiplied by a weight of its own, and 4 x 4 outputs are sums of the
// products. Those of one row alone, 1 x 3, are of half of the products. (Lavin, Gray, Fast Algorithms for Convolutional
// Neural Networks, 2016, which calls the sums B', the weights G, and A'.)
#include "vector.hpp"

enum { TILE = 4, POINTS = TILE + 2, MANY = 7 * ROWS };  // tiles at a time

struct Image {
  long rows, positions, channels;
};

// Six sums of six numbers; both are `stride` apart.
INLINE void spread(v8* to, const v8* x, int stride) {
  v8 even = x[4 * stride] - 4 * x[2 * stride], odd = x[3 * stride] - 4 * x[stride];
  v8 even_2 = x[4 * stride] - x[2 * stride], odd_2 = 2 * (x[3 * stride] - x[stride]);
  to[0] = 4 * x[0] + even - x[2 * stride];
  to[stride] = even + odd;
  to[2 * stride] = even - odd;
  to[3 * stride] = even_2 + odd_2;
  to[4 * stride] = even_2 - odd_2;
  to[5 * stride] = x[5 * stride] - odd - 4 * x[3 * stride];
}

// Four sums of six products.
INLINE void gather(v8* to, int apart, const v8* x, int stride) {
  v8 plus = x[stride] + x[2 * stride], minus = x[stride] - x[2 * stride];
  v8 plus_2 = x[3 * stride] + x[4 * stride], minus_2 = x[3 * stride] - x[4 * stride];
  to[0] = x[0] + plus + plus_2;
  to[apart] = minus + 2 * minus_2;
  to[2 * apart] = plus + 4 * plus_2;
  to[3 * apart] = x[5 * stride] + minus + 8 * minus_2;
}

// The sums of the tile whose first output is at `row` and `position`, of HIGH rows: each `apart` from the one before.
template <int HIGH>
static void inputs(float* to, long apart, const float* from, const Image* of, long row, long position) {
  for (long c = 0; c < of->channels; c += WIDTH) {
    v8 x[HIGH * POINTS], y[HIGH * POINTS];
    for (long i = 0; i < HIGH; i++)
      for (long j = 0; j < POINTS; j++) {
        const long r = row - (HIGH > 1) + i, p = position - 1 + j;
        const bool there = r >= 0 && r < of->rows && p >= 0 && p < of->positions;
        x[i * POINTS + j] = there ? load(from + (r * of->positions + p) * of->channels + c) : all(0);
      }
    for (int i = 0; i < HIGH; i++) spread(y + i * POINTS, x + i * POINTS, 1);
    for (int j = 0; HIGH > 1 && j < POINTS; j++) spread(x + j, y + j, POINTS);
    for (int i = 0; i < HIGH * POINTS; i++) store(to + i * apart + c, HIGH > 1 ? x[i] : y[i]);
  }
}

template <int HIGH>
INLINE void made(v8* to, const float* from, long apart) {
  v8 x[HIGH * POINTS], y[HIGH * TILE];
  for (int i = 0; i < HIGH * POINTS; i++) x[i] = load(from + i * apart);
  for (int i = 0; i < HIGH; i++) gather((HIGH > 1 ? y : to) + i * TILE, 1, x + i * POINTS, 1);
  for (int j = 0; HIGH > 1 && j < TILE; j++) gather(to + j, TILE, y + j, TILE);
}

// And its outputs, of products and a bias that are 8 values and their gates in turns.
template <int HIGH>
static void outputs(float* out, const float* from, long apart, const float* bias, const Image* of, long row,
                    long position) {
  for (long c = 0; c < of->channels; c += WIDTH) {
    v8 value[TILE * TILE], gate[TILE * TILE], own = load(bias + 2 * c), gates = load(bias + 2 * c + WIDTH);
    made<HIGH>(value, from + 2 * c, apart);
    made<HIGH>(gate, from + 2 * c + WIDTH, apart);
    for (long i = 0; i < least(HIGH > 1 ? TILE : 1, of->rows - row); i++)
      for (long j = 0; j < least(TILE, of->positions - position); j++)
        store(out + ((row + i) * of->positions + position + j) * of->channels + c,
              (value[i * TILE + j] + own) * sigmoid(gate[i * TILE + j] + gates));
  }
}

template <int HIGH>
static bool convolved(float* out, const float* x, const float* weight, const float* bias, const Image* of, long begin,
                      long end) {
  const long channels = of->channels, across = over(of->positions, TILE), high = HIGH > 1 ? TILE : 1;
  const long tiles = over(of->rows, high) * across;
  float* sums = (float*)calloc(3 * HIGH * POINTS * MANY * channels, sizeof(float));
  float* products = sums + HIGH * POINTS * MANY * channels;
  if (!sums) return false;
  for (long first = begin * MANY; first < least(end * MANY, tiles); first += MANY) {
    const long count = least(MANY, tiles - first);
    for (long i = first; i < first + count; i++)
      inputs<HIGH>(sums + (i - first) * channels, MANY * channels, x, of, i / across * high, i % across * TILE);
    for (long i = 0; i < HIGH * POINTS; i++)
      product(products + 2 * i * MANY * channels, sums + i * MANY * channels, weight + 2 * i * channels * channels,
              count, channels, 2 * channels);
    for (long i = first; i < first + count; i++)
      outputs<HIGH>(out, products + 2 * (i - first) * channels, 2 * MANY * channels, bias, of, i / across * high,
                    i % across * TILE);
  }
  return free(sums), true;
}

// out = convolved values * sigmoid(gates), of x (rows, positions, channels). `weight` is a matrix of panels (channels,
// 16) for each product: 36, or 6 where kernels are `flat`.
EXPORT bool gated_convolution(float* out, const float* x, const float* weight, const float* bias, bool flat, long rows,
                              long positions, long channels, long threads) {
  const Image image = {rows, positions, channels};
  const long tiles = over(rows, flat ? 1 : TILE) * over(positions, TILE);
  return parallel(threads, over(tiles, MANY), [=, &image](long begin, long end) {
    return (flat ? convolved<1> : convolved<POINTS>)(out, x, weight, bias, &image, begin, end);
  });
}
