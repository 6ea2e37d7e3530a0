// A branch of Demucs' DConv over rows of positions, added to what it is of. A row of a spectrogram stays in the cache
// from the first step to the last. Rows are cut into stretches, whose moments are added up in the same order by any
// number of threads.
#include "vector.hpp"

// Positions in a stretch; those of them that are added up in floats; inner channels.
enum { STRETCH = 1024, FEW = 128, MOST = 48 };

// Weights as functions.separate.residual packs them. `width` is the inner channels with zeros to a multiple of 8.
struct Branch {
  const float *first, *first_bias;                        // (3, channels, width), (width)
  const float *scale, *shift;                             // (width): of the first normalisation
  const float* second;                                    // panels (hidden, 16) of 8 values and their gates
  const float *second_bias, *second_mean, *second_shift;  // (2 * channels), likewise in turns of 8
  const float *mean, *cross, *squares;                    // (hidden), (hidden), (hidden, hidden)
  float mean_bias, square_bias, epsilon;
  long channels, hidden, width, dilation;
};

struct Moments {
  double sum, squares, sums[MOST], products[MOST * MOST];
};

// `multiply` by b (depth, 8), with two sums of every other product: one would wait for its last product.
INLINE void multiply_half(v8 sums[ROWS][2], const float* a, long stride, const float* b, long width, long depth) {
  for (long k = 0; k < depth; k += 2)
    for (int i = 0; i < ROWS; i++) {
      sums[i][0] += load(b + k * width) * a[i * stride + k];
      sums[i][1] += load(b + (k + 1) * width) * a[i * stride + k + 1];
    }
}

// Inner channels from `j` on, from position `begin` to `end`, of the first convolution; and their sum.
template <int VECTORS>
static void convolve(const Branch* of, float* inner, const float* y, float* spare, long j, long begin, long end,
                     long positions, Moments* moments) {
  const auto multiplied = VECTORS == 2 ? multiply : multiply_half;
  for (long at = begin; at < end; at += ROWS) {
    v8 sums[ROWS][2] = {}, sum = {};
    for (int i = 0; i < ROWS; i++)
      for (int v = 0; v < VECTORS; v++) sums[i][v] = load(of->first_bias + j + v * WIDTH);
    for (long tap = 0; tap < 3; tap++) {
      const float* from = in_rows(spare, y, at + (tap - 1) * of->dilation, positions, of->channels);
      multiplied(sums, from, of->channels, of->first + tap * of->channels * of->width + j, of->width, of->channels);
    }
    for (int i = 0; VECTORS == 1 && i < ROWS; i++) sums[i][0] += sums[i][1];
    for (long i = 0; i < least(ROWS, end - at); i++)
      for (int v = 0; v < VECTORS; v++) {
        store(inner + (at + i) * of->width + j + v * WIDTH, sums[i][v]);
        sum += sums[i][v];
      }
    moments->sum += sum_of(sum);
  }
}

static bool first(const Branch* of, float* inner, const float* y, long begin, long end, long positions,
                  Moments* moments) {
  float* spare = (float*)malloc(ROWS * of->channels * sizeof(float));
  if (!spare) return false;
  for (long j = 0; j < of->width; j += PANEL)
    (of->width - j > WIDTH ? convolve<2> : convolve<1>)(of, inner, y, spare, j, begin, end, positions, moments);
  return free(spare), true;
}

// What inner deviates by from its mean, squared: the difference of its moments would be lost beside a large mean.
static void deviations(const Branch* of, const float* inner, float mean, long begin, long end, Moments* moments) {
  float there[MOST] = {};
  for (long j = 0; j < of->hidden; j++) there[j] = 1;
  for (long at = begin; at < end; at += FEW) {
    v8 sum = {};
    for (const float* x = inner + at * of->width; x < inner + least(end, at + FEW) * of->width; x += of->width)
      for (long j = 0; j < of->width; j += WIDTH) {
        v8 by = (load(x + j) - mean) * load(there + j);
        sum += by * by;
      }
    moments->squares += sum_of(sum);
  }
}

// inner = GELU(inner, normalised), and what is summed up of that.
static void second(const Branch* of, float* inner, float mean, float factor, long begin, long end, Moments* moments) {
  for (long at = begin; at < end; at += FEW) {
    float sums[MOST] = {}, products[MOST * MOST] = {};
    for (float* x = inner + at * of->width; x < inner + least(end, at + FEW) * of->width; x += of->width) {
      for (long j = 0; j < of->width; j += WIDTH) {
        v8 y = gelu((load(x + j) - mean) * (load(of->scale + j) * factor) + load(of->shift + j));
        store(x + j, y);
        store(sums + j, load(sums + j) + y);
      }
      for (long i = 0; i < of->hidden; i++)
        for (long j = 0; j < of->width; j += WIDTH)
          store(products + i * of->width + j, load(products + i * of->width + j) + load(x + j) * x[i]);
    }
    for (long i = 0; i < of->hidden; i++) {
      moments->sums[i] += sums[i];
      for (long j = 0; j < of->hidden; j++) moments->products[i * of->hidden + j] += products[i * of->width + j];
    }
  }
}

// y += value * sigmoid(gate), which are the second convolution of inner times `factor` plus `bias`.
static void third(const Branch* of, float* y, const float* inner, const float* bias, float factor, long begin,
                  long end) {
  float spare[ROWS * MOST];
  for (long at = begin; at < end; at += ROWS) {
    const float* from = in_rows(spare, inner, at, end, of->width);
    for (long c = 0; c < of->channels; c += WIDTH) {
      v8 sums[ROWS][2] = {}, value = load(bias + 2 * c), gate = load(bias + 2 * c + WIDTH);
      multiply(sums, from, of->width, of->second + 2 * c * of->hidden, PANEL, of->hidden);
      for (long i = 0; i < least(ROWS, end - at); i++) {
        float* to = y + (at + i) * of->channels + c;
        store(to, load(to) + (sums[i][0] * factor + value) * sigmoid(sums[i][1] * factor + gate));
      }
    }
  }
}

// The bias of the second convolution with its normalisation in it, for one row; its factor.
static float normalised(const Branch* of, float* bias, const Moments* moments, long positions) {
  double mean = of->mean_bias, square = of->square_bias;
  for (long i = 0; i < of->hidden; i++) {
    mean += moments->sums[i] / positions * of->mean[i];
    square += moments->sums[i] / positions * of->cross[i];
    for (long j = 0; j < of->hidden; j++)
      square += moments->products[i * of->hidden + j] / positions * of->squares[i * of->hidden + j];
  }
  const double variance = square - mean * mean;
  const double factor = 1 / __builtin_sqrt((variance > 0 ? variance : 0) + of->epsilon);
  for (long i = 0; i < 2 * of->channels; i++)
    bias[i] = (of->second_bias[i] + mean * of->second_mean[i]) * factor + of->second_shift[i];
  return factor;
}

static double total(const Moments* moments, long count, double Moments::* what) {
  double sum = 0;
  for (long s = 0; s < count; s++) sum += moments[s].*what;
  return sum;
}

// Those that normalised() takes, added to the first.
static void add_up(const Branch* of, Moments* moments, long count) {
  for (long s = 1; s < count; s++) {
    for (long i = 0; i < of->hidden; i++) moments->sums[i] += moments[s].sums[i];
    for (long i = 0; i < of->hidden * of->hidden; i++) moments->products[i] += moments[s].products[i];
  }
}

static bool row(const Branch* of, float* y, long positions, long threads) {
  const long stretches = over(positions, STRETCH);
  Moments* moments =
      (Moments*)calloc(1, stretches * sizeof(Moments) + (positions * of->width + 2 * of->channels) * sizeof(float));
  if (!moments) return false;
  float *inner = (float*)(moments + stretches), *bias = inner + positions * of->width;
  auto each = [=](auto step) {  // of the stretches
    return parallel(threads, stretches, [=](long begin, long end) {
      bool done = true;
      for (long s = begin; s < end; s++)
        done = step(s * STRETCH, least(positions, (s + 1) * STRETCH), moments + s) && done;
      return done;
    });
  };
  bool done = each([=](long begin, long end, Moments* own) { return first(of, inner, y, begin, end, positions, own); });
  const double count = (double)positions * of->hidden;
  const float mean = total(moments, stretches, &Moments::sum) / count;
  done = done &&
         each([=](long begin, long end, Moments* own) { return deviations(of, inner, mean, begin, end, own), true; });
  float factor = 1 / __builtin_sqrt(total(moments, stretches, &Moments::squares) / count + of->epsilon);
  done = done && each([=](long begin, long end, Moments* own) {
           return second(of, inner, mean, factor, begin, end, own), true;
         });
  add_up(of, moments, stretches);
  factor = normalised(of, bias, moments, positions);
  done =
      done && each([=](long begin, long end, Moments*) { return third(of, y, inner, bias, factor, begin, end), true; });
  return free(moments), done;
}

// y (rows, positions, channels), to which the branch is added; false where there is no memory, and y is of no use then.
EXPORT bool residual(const Branch* of, float* y, long rows, long positions, long threads) {
  if (rows == 1) return row(of, y, positions, threads);
  return parallel(threads, rows, [=](long begin, long end) {
    bool done = true;
    for (long r = begin; r < end; r++) done = row(of, y + r * positions * of->channels, positions, 1) && done;
    return done;
  });
}
