/* What a context holds, to the last bit of its cache, for tests that ask whether it changed or whether two
 * contexts hold the same; and its snapshot.  Included after icl.h's implementation and test.h. */
#ifndef ICL_TEST_HELD_H
#define ICL_TEST_HELD_H

#include <stdlib.h>

typedef struct snapshot { unsigned char *bytes; size_t n; } snapshot;

/* Appends rows of n numbers of a type to s->bytes, or only counts them where that is NULL. */
static void hold_rows(snapshot *s, const void *from, icl__dtype type, size_t rows, size_t row, size_t n)
{
  size_t i, width = icl__width(type);
  for (i = 0; i < rows && from; i++, s->n += n * width)
    if (s->bytes) memcpy(s->bytes + s->n, (const unsigned char *)from + i * row * width, n * width);
}

/* Scale, pairs, residuals, keys and values of the pairs that c holds. */
static void hold_all(snapshot *s, const icl_ctx *c)
{
  const icl_config *m = &c->model->config;
  size_t d = (size_t)m->n_dims, n = (size_t)c->n_pairs, L = (size_t)m->n_layer, C = (size_t)m->n_embd;
  size_t H = (size_t)m->n_head;
  icl__dtype kv = (icl__dtype)c->kv;
  s->n = 0;
  hold_rows(s, c->x_mean, ICL__F32, 1, 0, d);
  hold_rows(s, c->x_std, ICL__F32, 1, 0, d);
  hold_rows(s, c->y_scale, ICL__F32, 1, 0, 2);
  hold_rows(s, c->inputs, ICL__F32, 1, 0, n * d);
  hold_rows(s, c->outputs, ICL__F32, 1, 0, n);
  hold_rows(s, c->residuals, ICL__F32, 1, 0, n);
  hold_rows(s, c->keys, kv, L * C, c->key_row, 2 * n);
  hold_rows(s, c->values, kv, L, 2 * (size_t)c->max_pairs * C, 2 * n * C);
  hold_rows(s, c->key_scales, ICL__F32, L * H, c->key_row, 2 * n);
  hold_rows(s, c->value_scales, ICL__F32, L * H, c->key_row, 2 * n);
}

/* All of it, in memory of its own. */
static snapshot take(const icl_ctx *c)
{
  snapshot s = {NULL, 0};
  hold_all(&s, c);
  s.bytes = (unsigned char *)malloc(s.n + 1);
  if (!s.bytes) exit(3);
  hold_all(&s, c);
  return s;
}

/* 1 if c holds what it held; frees the snapshot. */
ICL__UNUSED int unchanged(const icl_ctx *c, snapshot s)
{
  snapshot now = take(c);
  int is = now.n == s.n && !memcmp(now.bytes, s.bytes, s.n);
  free(now.bytes);
  free(s.bytes);
  return is;
}

/* What icl_ctx_save writes; room for one byte more. */
ICL__UNUSED snapshot save(const icl_ctx *c)
{
  snapshot s;
  s.n = icl_ctx_save_bytes(c);
  s.bytes = (unsigned char *)malloc(s.n + 1);
  if (!s.bytes) exit(3);
  CHECK_EQ(icl_ctx_save(c, s.bytes, s.n), ICL_OK);
  return s;
}

/* Makes the digest of a changed snapshot fit. */
ICL__UNUSED void seal(snapshot s)
{
  icl__put_le(s.bytes + s.n - 8, icl__digest(0, s.bytes, s.n - 8), 8);
}

ICL__UNUSED icl_ctx_options ctx_options(int max_pairs, int queries, icl_storage kv)
{
  icl_ctx_options o;
  memset(&o, 0, sizeof o);
  o.max_pairs = max_pairs;
  o.queries_at_once = queries;
  o.kv = kv;
  return o;
}

#endif
