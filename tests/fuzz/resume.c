/* Training states.  Input: what is put right | the bytes of a state. */
#include "fuzz.h"
#ifdef FUZZ_ALONE
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "icl_train.h"
#endif
#include <unistd.h>

static struct {
  icl_trainer *t;
  char path[64];
  float *params;                             /* as they were                                            */
  uint8_t *state;                            /* a good one, whose head and text are lent to others      */
  size_t n, size, head;                      /* weights; bytes; bytes in front of the weights           */
} resume;

static void resume_write(const void *data, size_t n)
{
  FILE *f = fopen(resume.path, "wb");
  MUST(f && fwrite(data, 1, n, f) == n);
  MUST(!fclose(f));
}

static void resume_end(void) { remove(resume.path); }

static void resume_begin(void)
{
  icl_train_options o;
  icl_train_info info;
  FILE *f;
  memset(&o, 0, sizeof o);
  o.task = "dense";
  o.model.n_dims = o.model.n_layer = o.model.n_head = 1;
  o.model.n_embd = 2;
  o.pairs = 2;
  o.batch = 2;
  o.steps = 10;
  o.lr = 1e-3f;
  MUST(!icl_trainer_new(&resume.t, &o, NULL) && !icl_train_step(resume.t, &info));
  sprintf(resume.path, "%s/icl-fuzz-%ld", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid());
  atexit(resume_end);
  MUST(!icl_train_save(resume.t, resume.path, NULL));
  resume.n = icl_param_count(&icl_trainer_model(resume.t)->config);
  resume.params = (float *)fuzz_alloc(4 * resume.n);
  memcpy(resume.params, icl_trainer_params(resume.t), 4 * resume.n);
  resume.state = (uint8_t *)fuzz_alloc(1 << 16);
  MUST((f = fopen(resume.path, "rb")) != NULL);
  resume.size = fread(resume.state, 1, 1 << 16, f);
  resume.head = resume.size - 8 - 12 * resume.n;
  fclose(f);
}

/* The digests that go with the bytes, where the state has its size and its text's length is the right one. */
static void resume_digest(uint8_t *s)
{
  size_t part, k, at = resume.head;
  uint64_t h = icl__digest(icl__digest(0, s, 56), s + 56, resume.head - 64);
  icl__put_le(s + resume.head - 8, h, 8);
  h = icl__digest(h, s + resume.head - 8, 8);
  for (k = 0; k < 3; k++)
    for (part = 0; part < resume.n; part += 1024) {
      size_t m = resume.n - part < 1024 ? resume.n - part : 1024;
      h = icl__digest(h, s + at, 4 * m);
      at += 4 * m;
    }
  icl__put_le(s + resume.size - 8, h, 8);
}

/* A state that was taken is finite, and so are the weights after a step that says OK. */
static void resume_ok(void)
{
  icl_train_info info;
  icl_error e;
  const float *p = icl_trainer_params(resume.t);
  MUST(fuzz_finite(p, resume.n));
  if (resume.t->step >= 10) return;
  memset(&info, 0, sizeof info);
  e = icl_train_step(resume.t, &info);
  MUST(e || fuzz_finite(p, resume.n));
}

int FUZZ_ENTRY(const uint8_t *data, size_t n)
{
  unsigned fix;
  uint8_t *s;
  size_t size;
  icl_report r;
  icl_error e;
  if (!resume.t) resume_begin();
  if (n < 1) return 0;
  fix = data[0];
  size = fix & 1 ? resume.size : n - 1;
  s = (uint8_t *)fuzz_alloc(size);
  memcpy(s, resume.state, size < resume.size ? size : resume.size);
  if (size > resume.size) memset(s + resume.size, 0, size - resume.size);
  memcpy(s, data + 1, n - 1 < size ? n - 1 : size);
  if (fix & 2 && size >= resume.head) {
    memcpy(s, resume.state, 16);
    memcpy(s + 48, resume.state + 48, resume.head - 48);
  }
  if (fix & 4 && size == resume.size) resume_digest(s);
  resume_write(s, size);
  resume_write(resume.state, resume.size);
  MUST(!icl_train_resume(resume.t, resume.path, &r));
  resume_write(s, size);
  e = icl_train_resume(resume.t, resume.path, &r);
  MUST(e == r.code);
  fuzz_say((uint64_t)e << 32 | (e ? r.offset : 0));
  if (e) MUST(!memcmp(icl_trainer_params(resume.t), resume.params, 4 * resume.n));
  else resume_ok();
  free(s);
  return 0;
}
