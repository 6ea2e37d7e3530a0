// What all kernels are made of: eight floats at a time, products of matrices that stay in registers, and threads.
#pragma once
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT extern "C" __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t i8 __attribute__((vector_size(32)));

// Of a vector; of two side by side, which weights are packed by; rows of such that AVX2 has registers to sum up.
enum { WIDTH = 8, PANEL = 2 * WIDTH, ROWS = 6 };
enum { MOST_THREADS = 64 };  // layers are too small for more

INLINE v8 load(const float* from) { return *(const v8*)from; }
INLINE void store(float* to, v8 x) { *(v8*)to = x; }
INLINE v8 all(float x) { return (v8){x, x, x, x, x, x, x, x}; }
INLINE v8 larger(v8 x, v8 y) { return x > y ? x : y; }
INLINE v8 lesser(v8 x, v8 y) { return x < y ? x : y; }
INLINE long least(long x, long y) { return x < y ? x : y; }
INLINE long over(long x, long y) { return (x + y - 1) / y; }

INLINE float sum_of(v8 x) { return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7])); }

INLINE float largest_of(v8 x) {
  float most = x[0];
  for (int i = 1; i < WIDTH; i++) most = x[i] > most ? x[i] : most;
  return most;
}

// 2 to the x, which is 127 at most; below -126 it is 2 to -126. (The polynomial is that of exp2f in Moshier's Cephes.)
INLINE v8 power_of_two(v8 x) {
  const float round = 12582912.0f;  // 1.5 times 2 to 23: what is added to it loses all behind the point
  x = larger(x, all(-126.0f));
  v8 whole = x + round, rest = x - (whole - round);
  v8 y = rest * 1.535336188319500e-4f + 1.339887440266574e-3f;
  y = y * rest + 9.618437357674640e-3f;
  y = y * rest + 5.550332471162809e-2f;
  y = y * rest + 2.402264791363012e-1f;
  y = y * rest + 6.931472028550421e-1f;
  y = y * rest + 1.0f;
  return (v8)((i8)y + ((i8)whole << 23));
}

INLINE v8 sigmoid(v8 x) { return 1.0f / (1.0f + power_of_two(lesser(x * -1.44269504f, all(126.0f)))); }

// (The error function is Eigen's quotient of polynomials for floats, from -4 to 4.)
INLINE v8 gelu(v8 x) {
  const v8 z = larger(lesser(x * 0.70710678f, all(4.0f)), all(-4.0f)), square = z * z, half = x * 0.5f;
  v8 above = square * -2.72614225801306e-10f + 2.77068142495902e-08f;
  above = above * square - 2.10102402082508e-06f;
  above = above * square - 5.69250639462346e-05f;
  above = above * square - 7.34990630326855e-04f;
  above = above * square - 2.95459980854025e-03f;
  above = above * square - 1.60960333262415e-02f;
  v8 below = square * -1.45660718464996e-05f - 2.13374055278905e-04f;
  below = below * square - 1.68282697438203e-03f;
  below = below * square - 7.37332916720468e-03f;
  below = below * square - 1.42647390514189e-02f;
  return half * (z * above / below) + half;
}

// sums (ROWS, 16) += a (ROWS, depth) by b (depth, 16), whose rows are `stride` and `width` apart.
INLINE void multiply(v8 sums[ROWS][2], const float* a, long stride, const float* b, long width, long depth) {
  for (long k = 0; k < depth; k++) {
    v8 first = load(b + k * width), second = load(b + k * width + WIDTH);
    for (int i = 0; i < ROWS; i++) {
      sums[i][0] += first * a[i * stride + k];
      sums[i][1] += second * a[i * stride + k];
    }
  }
}

// ROWS rows of x (rows, width) from `start` on; copied to `spare`, with zeros, where some of them are not there.
INLINE const float* in_rows(float* spare, const float* x, long start, long rows, long width) {
  if (start >= 0 && start + ROWS <= rows) return x + start * width;
  for (long i = 0; i < ROWS; i++)
    if (start + i >= 0 && start + i < rows)
      memcpy(spare + i * width, x + (start + i) * width, width * sizeof(float));
    else
      memset(spare + i * width, 0, width * sizeof(float));
  return spare;
}

// to (count, width) = from (count, depth) by weight, panels (depth, 16); there is room for `count` to be a multiple of
// ROWS.
static inline void product(float* to, const float* from, const float* weight, long count, long depth, long width) {
  for (long panel = 0; panel < width; panel += PANEL)
    for (long row = 0; row < count; row += ROWS) {
      v8 sums[ROWS][2] = {};
      multiply(sums, from + row * depth, depth, weight + panel * depth, PANEL, depth);
      for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 2; j++) store(to + (row + i) * width + panel + j * WIDTH, sums[i][j]);
    }
}

// Runs body(begin, end) over shares of 0 to `count`, each in a thread; whether all of them said true.
template <class Body>
static bool parallel(long threads, long count, const Body& body) {
  struct Share {
    const Body* body;
    long begin, end;
    bool done, apart;
    pthread_t thread;
    static void* run(void* share) {
      Share* own = (Share*)share;
      own->done = own->begin == own->end || (*own->body)(own->begin, own->end);
      return nullptr;
    }
  } shares[MOST_THREADS];
  threads = least(least(threads, count), MOST_THREADS);
  if (threads < 2) return body(0, count);
  for (long t = threads - 1; t >= 0; t--) {
    shares[t] = {&body, count * t / threads, count * (t + 1) / threads, false, false, {}};
    shares[t].apart = t > 0 && !pthread_create(&shares[t].thread, nullptr, Share::run, &shares[t]);
    if (!shares[t].apart) Share::run(&shares[t]);
  }
  bool done = true;
  for (long t = 0; t < threads; t++) {
    if (shares[t].apart) pthread_join(shares[t].thread, nullptr);
    done = done && shares[t].done;
  }
  return done;
}
