// Attention, some queries by some keys at a time, so that scores never leave the cache.
// (Milakov, Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022.)
#include "vector.hpp"

enum { QUERIES = 8 * ROWS, KEYS = 8 * PANEL, WIDEST = 64 };  // at a time; channels of a head
#define LOG2_E 1.44269504f
#define LOWEST -1e30f

struct Block {
  float query[QUERIES][WIDEST], out[QUERIES][WIDEST], score[QUERIES][KEYS], longest[QUERIES], sum[QUERIES];
};

// Keys (positions, width) as panels (width, 16), times what makes powers of e such of two.
static void packed_keys(float* to, const float* key, long stride, long positions, long width) {
  for (long start = 0; start < over(positions, KEYS) * KEYS; start += PANEL)
    for (long k = 0; k < width; k++)
      for (long i = start; i < start + PANEL; i++) *to++ = i < positions ? key[i * stride + k] * LOG2_E : 0;
}

// Values (positions, width) as panels (KEYS, 16), all of KEYS positions before those of the next.
static void packed_values(float* to, const float* value, long stride, long positions, long width) {
  for (long start = 0; start < positions; start += KEYS)
    for (long k = 0; k < width; k += PANEL)
      for (long i = start; i < start + KEYS; i++, to += PANEL)
        if (i < positions)
          memcpy(to, value + i * stride + k, PANEL * sizeof(float));
        else
          memset(to, 0, PANEL * sizeof(float));
}

static void scores(Block* block, const float* keys, long count, long width) {
  for (long panel = 0; panel < KEYS; panel += PANEL)
    for (long row = 0; row < QUERIES; row += ROWS) {
      v8 sums[ROWS][2] = {};
      multiply(sums, block->query[row], WIDEST, keys + panel * width, PANEL, width);
      for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 2; j++) store(&block->score[row + i][panel + j * WIDTH], sums[i][j]);
    }
  for (long i = 0; count < KEYS && i < QUERIES; i++)
    for (long k = count; k < KEYS; k++) block->score[i][k] = LOWEST;
}

// Scores as powers of two, each over the greatest so far; what was summed up over a lesser one becomes less.
static void powers(Block* block, long width) {
  for (long i = 0; i < QUERIES; i++) {
    float* score = block->score[i];
    v8 most = load(score), sum = {};
    for (long k = WIDTH; k < KEYS; k += WIDTH) most = larger(most, load(score + k));
    float before = block->longest[i], now = largest_of(most);
    now = before > now ? before : now;
    for (long k = 0; k < KEYS; k += WIDTH) {
      v8 power = power_of_two(load(score + k) - now);
      store(score + k, power);
      sum += power;
    }
    if (now > before) {
      float less = power_of_two(all(before - now))[0];
      block->sum[i] *= less;
      for (long k = 0; k < width; k += WIDTH) store(&block->out[i][k], load(&block->out[i][k]) * less);
    }
    block->longest[i] = now;
    block->sum[i] += sum_of(sum);
  }
}

static void attend(Block* block, const float* values, long width) {
  for (long panel = 0; panel < width; panel += PANEL)
    for (long row = 0; row < QUERIES; row += ROWS) {
      v8 sums[ROWS][2];
      for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 2; j++) sums[i][j] = load(&block->out[row + i][panel + j * WIDTH]);
      multiply(sums, block->score[row], KEYS, values + panel * KEYS, PANEL, KEYS);
      for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 2; j++) store(&block->out[row + i][panel + j * WIDTH], sums[i][j]);
    }
}

static void attended(Block* block, float* out, const float* query, const float* keys, const float* values, long stride,
                     long count, long positions, long width) {
  memset(block, 0, sizeof(Block));
  for (long i = 0; i < count; i++) memcpy(block->query[i], query + i * stride, width * sizeof(float));
  for (long i = 0; i < QUERIES; i++) block->longest[i] = LOWEST;
  for (long at = 0; at < positions; at += KEYS) {
    scores(block, keys + at * width, least(KEYS, positions - at), width);
    powers(block, width);
    attend(block, values + at * width, width);
  }
  for (long i = 0; i < count; i++)
    for (long k = 0; k < width; k += WIDTH) store(out + i * stride + k, load(&block->out[i][k]) / block->sum[i]);
}

// out = softmax(query key') value of each head, of positions (heads * width); width is a multiple of 16, 64 at most.
EXPORT bool attention(float* out, const float* query, const float* key, const float* value, long queries,
                      long positions, long heads, long width, long threads) {
  const long blocks = over(queries, QUERIES), stride = heads * width, packed = over(positions, KEYS) * KEYS * width;
  return parallel(threads, heads * blocks, [=](long begin, long end) {
    float *keys = (float*)malloc(2 * packed * sizeof(float) + sizeof(Block)), *values = keys + packed;
    if (!keys) return false;
    for (long unit = begin; unit < end; unit++) {
      const long head = unit / blocks * width, start = unit % blocks * QUERIES;
      if (unit == begin || !start) {
        packed_keys(keys, key + head, stride, positions, width);
        packed_values(values, value + head, stride, positions, width);
      }
      const long from = start * stride + head;
      attended((Block*)(values + packed), out + from, query + from, keys, values, stride,
               least(QUERIES, queries - start), positions, width);
    }
    return free(keys), true;
  });
}
