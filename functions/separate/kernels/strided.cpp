// Convolutions of stride 4 by kernels of 8, and transposed ones, of five eighths of the products: where 4 numbers are
// taken as one, two weights are left, and Winograd's F(4, 2) makes 4 outputs of 5 products. (Lavin, Gray, Fast
// Algorithms for Convolutional Neural Networks, 2016; by the points 0, 1, -1, 2 and infinity.)
#include "vector.hpp"

enum { TILE = 4, PRODUCTS = TILE + 1, MANY = 7 * ROWS };  // tiles at a time

// Values (length, lines, channels), convolved along the first; group n is `phases` of them from phases * n + offset on.
struct Side {
  long length, lines, channels, phases, offset;
};

// The sums of the five groups from `group` on: each `apart` from the one before.
static void inputs(float* to, long apart, const float* x, const Side* of, long group, long line) {
  for (long phase = 0; phase < of->phases; phase++)
    for (long c = 0; c < of->channels; c += WIDTH) {
      v8 d[PRODUCTS];
      for (long i = 0; i < PRODUCTS; i++) {
        const long at = of->phases * (group + i) + phase + of->offset;
        d[i] = at >= 0 && at < of->length ? load(x + (at * of->lines + line) * of->channels + c) : all(0);
      }
      const v8 odd = d[3] - d[1], sums[PRODUCTS] = {2 * (d[0] - d[2]) + odd, odd - d[1] - d[2], odd + 3 * (d[1] - d[2]),
                                                    odd, d[4] - d[2] - 2 * odd};
      for (long i = 0; i < PRODUCTS; i++) store(to + i * apart + phase * of->channels + c, sums[i]);
    }
}

// And the four groups of outputs from `group` on.
template <bool GELU>
static void outputs(float* out, const float* from, long apart, const float* bias, const Side* of, long group,
                    long line) {
  for (long phase = 0; phase < of->phases; phase++)
    for (long c = 0; c < of->channels; c += WIDTH) {
      v8 m[PRODUCTS], own = load(bias + c);
      for (long i = 0; i < PRODUCTS; i++) m[i] = load(from + i * apart + phase * of->channels + c);
      const v8 plus = m[1] + m[2] + own, minus = m[1] - m[2] + own;
      const v8 made[TILE] = {m[0] + plus + m[3], minus + 2 * m[3], plus + 4 * m[3], minus + 8 * m[3] + m[4]};
      for (long i = 0; i < TILE; i++) {
        const long at = of->phases * (group + i) + phase + of->offset;
        if (at >= 0 && at < of->length)
          store(out + (at * of->lines + line) * of->channels + c, GELU ? gelu(made[i]) : made[i]);
      }
    }
}

// out, of so many groups, = x convolved, and GELU of it; `weight` is 5 matrices of panels (phases * channels of x, 16).
EXPORT bool strided_convolution(float* out, const float* x, const float* weight, const float* bias, const Side* to,
                                const Side* of, long groups, bool gelu, long threads) {
  const long depth = of->phases * of->channels, width = to->phases * to->channels, lines = of->lines;
  const long tiles = over(groups, TILE) * lines;
  return parallel(threads, over(tiles, MANY), [=](long begin, long end) {
    float *sums = (float*)calloc(PRODUCTS * MANY * (depth + width), sizeof(float)),
          *products = sums + PRODUCTS * MANY * depth;
    if (!sums) return false;
    for (long first = begin * MANY; first < least(end * MANY, tiles); first += MANY) {
      const long count = least(MANY, tiles - first);
      for (long i = first; i < first + count; i++)
        inputs(sums + (i - first) * depth, MANY * depth, x, of, i / lines * TILE, i % lines);
      for (long i = 0; i < PRODUCTS; i++)
        product(products + i * MANY * width, sums + i * MANY * depth, weight + i * depth * width, count, depth, width);
      for (long i = first; i < first + count; i++)
        (gelu ? outputs<true> : outputs<false>)(out, products + (i - first) * width, MANY * width, bias, to,
                                                i / lines * TILE, i % lines);
    }
    return free(sums), true;
  });
}
