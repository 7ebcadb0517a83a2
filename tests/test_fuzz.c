/* The inputs that fuzzing kept, tests/fuzz/NAME.corpus, run again without a fuzzer: every one of them must go
 * through its target, with the verdict in tests/fuzz/NAME.verdicts.  A corpus is one file: for each input its length, 4 bytes little-endian, and its bytes.
 *
 *     build/test_fuzz                     all of them
 *     build/test_fuzz unpack NAME FOLDER  the inputs as files, and seeds made from the API
 *     build/test_fuzz pack NAME FOLDER    the files as a corpus
 *     build/test_fuzz words               words of headers, as a dictionary of AFL++
 *     build/test_fuzz verdicts            writes the verdicts anew, where a change is meant
 *     build/test_fuzz FILE NAME           one file, such as a crash */
#define _GNU_SOURCE
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#define FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION 1
#define ICL_BAYES_IMPLEMENTATION
#include "tools/icl_bayes.h"
#include <dirent.h>
#include <sys/stat.h>

#if defined FUZZ_ALL && !defined FUZZ_AFL
#define FUZZ_MUTATOR 1
#endif
#define FUZZ_ENTRY fuzz_load
#include "fuzz/load.c"
#undef FUZZ_ENTRY
#define FUZZ_ENTRY fuzz_restore
#include "fuzz/restore.c"
#undef FUZZ_ENTRY
#define FUZZ_ENTRY fuzz_text
#include "fuzz/text.c"
#undef FUZZ_ENTRY
#define FUZZ_ENTRY fuzz_resume
#include "fuzz/resume.c"
#undef FUZZ_ENTRY
#define FUZZ_ENTRY fuzz_rows
#include "fuzz/rows.c"
#include "test.h"

typedef struct target {
  const char *name;
  int (*run)(const uint8_t *data, size_t n);
  size_t least;                              /* inputs that its corpus has, or more                     */
} target;

static const target targets[] = {
  {"header", fuzz_load, 100}, {"life", fuzz_load, 100}, {"restore", fuzz_restore, 10}, {"text", fuzz_text, 100},
  {"resume", fuzz_resume, 20}, {"rows", fuzz_rows, 100}
};
enum { TARGETS = sizeof targets / sizeof *targets };

#ifndef FUZZ_ALL
static uint8_t *read_all(const char *path, size_t *n)
{
  FILE *f = fopen(path, "rb");
  uint8_t *data = (uint8_t *)fuzz_alloc(1 << 22);
  *n = f ? fread(data, 1, 1 << 22, f) : 0;
  if (f) fclose(f);
  return data;
}

#endif

static const target *find_target(const char *name)
{
  int i;
  for (i = 0; i < TARGETS; i++) if (!strcmp(targets[i].name, name)) return &targets[i];
  fprintf(stderr, "no target %s\n", name);
  exit(2);
}

#ifndef FUZZ_ALL
static char *corpus_path(const target *t)
{
  static char path[200];
  snprintf(path, sizeof path, "tests/fuzz/%s.corpus", t->name);
  return path;
}
#endif

#ifdef FUZZ_ALL
/* ----- under a fuzzer: the target that FUZZ_TARGET names ------------------------------------------- */

static const target *chosen(void)
{
  static const target *t;
  const char *name = getenv("FUZZ_TARGET");
  if (!t) t = find_target(name ? name : "header");
  return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { chosen()->run(data, n); return 0; }

#ifdef FUZZ_MUTATOR
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned int seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned int seed)
{
  if (chosen()->run != fuzz_load) return LLVMFuzzerMutate(data, n, max);
  return load_mutate(data, n, max, seed, chosen() == &targets[0]);
}
#endif
#else
/* ----- replay -------------------------------------------------------------------------------- */

/* Every input of a corpus, in a block of its own size; see(verdict, place) of each. */
static size_t replay(const target *t, void (*see)(uint32_t verdict, size_t at))
{
  size_t n, at, inputs = 0;
  uint8_t *all = read_all(corpus_path(t), &n);
  for (at = 0; at + 4 <= n; inputs++) {
    size_t size = icl__get32(all + at);
    void *block;
    uint8_t *one;
    MUST(size <= n - at - 4);
    one = fuzz_copy(all + at + 4, size, 0, &block);
    fuzz_verdict = 0;
    t->run(one, size);
    see(fuzz_verdict, inputs);
    free(block);
    at += 4 + size;
  }
  MUST(at == n);
  free(all);
  return inputs;
}

static FILE *verdicts;
static const char *verdicts_of;

static void write_verdict(uint32_t verdict, size_t at)
{
  (void)at;
  fprintf(verdicts, "%08lx\n", (unsigned long)verdict);
}

static void check_verdict(uint32_t verdict, size_t at)
{
  unsigned long want = 0;
  if (sizeof(void *) != 8 || !icl__little_endian()) return;  /* sizes of models are others there */
  if (fscanf(verdicts, "%lx", &want) == 1 && want == verdict) return;
  if (test_fail(__FILE__, __LINE__, verdicts_of)) printf(": another verdict on input %zu than it was\n", at);
}

static void open_verdicts(const target *t, const char *mode)
{
  static char path[200];
  snprintf(path, sizeof path, "tests/fuzz/%s.verdicts", t->name);
  verdicts_of = path;
  MUST((verdicts = fopen(path, mode)) != NULL);
}

static void replay_all(const target *t)
{
  size_t inputs;
  open_verdicts(t, "r");
  inputs = replay(t, check_verdict);
  fclose(verdicts);
  if (inputs < t->least) CHECK_EQ(inputs, t->least);
}

static int write_verdicts(void)
{
  int i;
  for (i = 0; i < TARGETS; i++) {
    open_verdicts(&targets[i], "w");
    replay(&targets[i], write_verdict);
    MUST(!fclose(verdicts));
  }
  return 0;
}

TEST(checkpoints) { replay_all(&targets[0]); }
TEST(lives_of_models) { replay_all(&targets[1]); }
TEST(snapshots) { replay_all(&targets[2]); }
TEST(texts_of_tasks) { replay_all(&targets[3]); }
TEST(training_states) { replay_all(&targets[4]); }
TEST(options_and_rows) { replay_all(&targets[5]); }

/* ----- folders of inputs --------------------------------------------------------------------------- */

static const char *folder;
enum { MOST_FUZZED = 4096 };                 /* bytes; longer seeds are called big                        */

static void put_file(const void *data, size_t n)
{
  char path[300];
  FILE *f;
  snprintf(path, sizeof path, "%s/%s%016llx", folder, n > MOST_FUZZED ? "big" : "seed",
           (unsigned long long)icl__digest(n, data, n));
  MUST((f = fopen(path, "wb")) && fwrite(data, 1, n, f) == n);
  fclose(f);
}

static void unpack(const target *t)
{
  size_t n, at;
  uint8_t *all = read_all(corpus_path(t), &n);
  for (at = 0; at + 4 <= n; at += 4 + icl__get32(all + at)) put_file(all + at + 4, icl__get32(all + at));
  free(all);
}

static int pack(const target *t)
{
  struct dirent **names;
  int n = scandir(folder, &names, NULL, alphasort), i, inputs = 0;
  FILE *out = fopen(corpus_path(t), "wb");
  MUST(n >= 0 && out);
  for (i = 0; i < n; i++) {
    char path[600];
    uint8_t size[4], *data;
    size_t bytes;
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
    if (stat(path, &st) || !S_ISREG(st.st_mode)) continue;
    data = read_all(path, &bytes);
    icl__put_le(size, bytes, 4);
    MUST(fwrite(size, 1, 4, out) == 4 && fwrite(data, 1, bytes, out) == bytes);
    free(data);
    inputs++;
  }
  MUST(!fclose(out));
  printf("%s: %d inputs\n", t->name, inputs);
  return 0;
}

/* ----- seeds from the API ---------------------------------------------------------------------------- */

/* The smallest models of each kind, with operations of all kinds in front. */
static void seed_load(int lives)
{
  static const uint8_t ops[] = {5, 3, 1, 1, 2, 3, 100, 150, 200, 90, 3, 1, 120, 13, 0, 5, 2, 11, 0, 12, 3, 10, 1,
                                208, 2, 1, 209, 5, 77, 210, 4, 11, 120, 2, 3, 210, 3, 32, 110, 208, 2, 0};
  int i;
  for (i = 0; i < 48; i++) {
    uint8_t all[8192];
    float params[400];
    icl_config cfg;
    icl_metadata md;
    size_t n, k;
    memset(&cfg, 0, sizeof cfg);
    memset(&md, 0, sizeof md);
    cfg.n_dims = 1 + i % 2;
    cfg.n_embd = i % 3 ? 2 : 1;
    cfg.n_head = i % 3 == 2 ? 2 : 1;
    cfg.n_layer = i == 7 ? 2 : 1;
    cfg.position_embedding_type = (icl_position)(i / 2 % 4);
    cfg.n_positions = cfg.position_embedding_type == ICL_POSITION_LEARNED ? 5 : 9;
    cfg.activation_function = (icl_activation)(i % 3);
    cfg.tokens = (icl_tokens)(i / 8 % 2);
    cfg.n_out = 1;
    if (i % 5 == 1) {
      cfg.n_quantiles = 3;
      cfg.n_out = 4;
      cfg.quantiles[0] = 0.25f; cfg.quantiles[1] = 0.5f; cfg.quantiles[2] = 0.75f;
    }
    cfg.layer_norm_epsilon = i % 4 ? 1e-5f : 0.0123f;
    md.storage = (icl_storage)(i / 3 % 4);
    if (i % 7 == 0) md.task = "dense";
    if (i % 3 == 0) md.typical = "-100 200 -150 250 -170 300";
    if (i % 11 == 0) md.sampling = "order=1";
    n = icl_param_count(&cfg);
    MUST(n <= sizeof params / sizeof *params);
    for (k = 0; k < n; k++) params[k] = (float)((k * 37 + 11 + (size_t)i) % 19) / 16 - 0.5f;
    n = icl_write_bytes(&cfg, &md);
    if (!n || n > sizeof all - 64) continue;
    k = lives ? sizeof ops : 0;
    all[0] = (uint8_t)k;
    all[1] = (uint8_t)(32 + i % 16);
    memcpy(all + 2, ops, k);
    if (lives) all[4] = (uint8_t)(i & 3);
    MUST(!icl_write(all + 2 + k, n, &cfg, params, &md));
    put_file(all, 2 + k + n);
  }
}

/* A checkpoint of so many layers of width 1, without operations; returns its size, and of its header. */
static size_t seed_plain(uint8_t *all, int layers, size_t *header)
{
  static float params[600];
  icl_config cfg;
  size_t n, k;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = cfg.n_embd = cfg.n_head = cfg.n_out = 1;
  cfg.n_layer = layers;
  cfg.position_embedding_type = ICL_POSITION_NONE;
  cfg.n_positions = 9;
  cfg.layer_norm_epsilon = 1e-5f;
  n = icl_param_count(&cfg);
  MUST(n <= sizeof params / sizeof *params);
  for (k = 0; k < n; k++) params[k] = (float)(k % 19) / 16 - 0.5f;
  *header = icl_write_bytes(&cfg, NULL) - 4 * n;
  all[0] = all[1] = 0;
  MUST(!icl_write(all + 2, *header + 4 * n, &cfg, params, NULL));
  return 2 + *header + 4 * n;
}

/* That file with the first `from` of its header replaced, and without spaces at the header's end. */
static void seed_edit(const char *from, const char *to)
{
  uint8_t all[4096], *at;
  size_t header, n = seed_plain(all, 1, &header), a = strlen(from), b = strlen(to), spaces = 0;
  while (all[1 + header - spaces] == ' ') spaces++;
  memmove(all + 2 + header - spaces, all + 2 + header, n - 2 - header);
  header -= spaces;
  n -= spaces;
  at = (uint8_t *)strstr((char *)all + 10, from);
  MUST(at && n + b < sizeof all);
  memmove(at + b, at + a, n - (size_t)(at - all) - a);
  memcpy(at, to, b);
  icl__put_le(all + 2, header - 8 + b - a, 8);
  all[1] = 128;
  put_file(all, n + b - a);
}

/* A file of 19 layers, whose 234 tensors come in steps of `step` through the header; tensor `moved` lies
 * `by` bytes from where it should. */
static void seed_shuffled(int step, int moved, int by)
{
  static uint8_t all[1 << 16], out[1 << 16];
  static const char *member[400];
  size_t header, n = seed_plain(all, 19, &header), at = 10, length;
  int members = 0, i, k = 0;
  char *s = (char *)all + 10;
  for (s = strstr(s, ",\"_r"); s; s = strstr(s + 1, ",\"_")) member[members++] = s + 1;
  member[members] = strrchr(member[members - 1], ']') + 3;
  memcpy(out, all, n);
  at = (size_t)(member[0] - (char *)all);
  for (i = 0; i < members; i++, k = (k + step) % members) {
    unsigned long begin = 0, end = 0;
    const char *offsets = strstr(member[k], "data_offsets") + 15;
    MUST(sscanf(offsets, "%lu,%lu", &begin, &end) == 2);
    if (k == moved) { begin += (unsigned long)(long)by; end += (unsigned long)(long)by; }
    at += (size_t)sprintf((char *)out + at, "%.*s%lu,%lu]},", (int)(offsets - member[k]), member[k], begin, end);
  }
  out[at - 1] = '}';
  length = header - 8;
  while (at < 10 + length) out[at++] = ' ';
  if (at > 10 + length) length = at - 10;
  memcpy(out + at, all + 2 + header, n - 2 - header);
  icl__put_le(out + 2, length, 8);
  put_file(out, at + n - 2 - header);
}

/* What the mutator does not find for long, and tensors that need several walks. */
static void seed_rare(void)
{
  seed_edit("n_head\":\"1", "n_head\":\"0");
  seed_edit("n_positions\":\"9", "n_positions\":\"0");
  seed_edit("\"n_head", "\"note\":\"\xe0\xa0\x80\",\"n_head");
  seed_edit("\"n_head", "\"icl.quantiles\":\".1,.11,.12,.13,.14,.15,.16,.17,.18,.19,.2,.21,.22,.23,.24,.25,.26,.27,.28,"
            ".29,.3,.31,.32,.33,.34,.35,.36,.37,.38,.39,.4,.41,.42\",\"n_head");
  seed_edit("[1,1],\"data_offsets\":[0,4]", "[16777217,1],\"data_offsets\":[0,67108868]");
  seed_edit("[1,1],\"data_offsets\":[0,4]", "[1,65537],\"data_offsets\":[0,262148]");
  seed_edit("[1,3],\"data_offsets\":[16,28]", "[2,3],\"data_offsets\":[16,40]");
  seed_edit("\"_backbone.h.0.ln_1.bias", "\"_backbone.h.0.mlp.c_fc.weight.scale\":{\"dtype\":\"F32\",\"shape\":[4],"
            "\"data_offsets\":[0,16]},\"_backbone.h.0.ln_1.bias");
  seed_edit("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[120,124]}}",
            "\"shape\":[1],\"data_offsets\":[120,124],\"dtype\":\"F32\"}}");
  seed_shuffled(1, -1, 0);
  seed_shuffled(119, -1, 0);
  seed_shuffled(119, 230, 4);
  seed_shuffled(233, 100, -4);
}

static void seed_header(void) { seed_load(0); seed_rare(); }
static void seed_life(void) { seed_load(1); }

static void seed_restore(void)
{
  static const float x[4] = {1, 2, -1, 0.5f}, y[2] = {0.5f, -0.25f};
  int i;
  restore_begin();
  for (i = 0; i < 12; i++) {
    uint8_t s[4096];
    icl_ctx *c = &restore.c[i & 3];
    icl_rewind(c, 0);
    icl_add_batch(c, i / 4, x, y);
    s[0] = (uint8_t)i;
    MUST(!icl_ctx_save(c, s + 1, sizeof s - 1));
    put_file(s, 1 + icl_ctx_save_bytes(c));
  }
}

static void seed_text(void)
{
  static const char *const extra[] = {
    "0.5*dense + 0.5*sparse(nnz=2)", "convex(dense, sine, alpha=0.3)", "noisy(affine(slope=0.5..2), sd=0.1..1)",
    "garg(noisy(sparse(nnz=1)))", "noisy(gp(length=0.3..3, nu=2.5), share=0.5, tails=0.2)", "pool(size=8, seed=3)",
    "noisy(convex(0.2*wave + tree(depth=2), hinge(max=5)), sd=0.5, renorm=1, hetero=0.5, outliers=0.1)"
  };
  static const char *const baselines[] = {"ols", "ridge:0.1", "lasso:0.01", "knn:3", "avg", "zero", "tree:2",
                                          "net:8", "net:8:20", "bayes", "bayes:0.5"};
  static const char *const samplings[] = {"inputs=data order=1", "standardize=1 x_scale=2", "inputs=uniform",
                                          "dims_active=2 y_scale=0.5"};
  char line[200];
  int i;
  for (i = 0; icl_class_at(i); i++) put_file(line, (size_t)sprintf(line, "%c%s", 1 + 7 * (i % 8), icl_class_at(i)->name));
  for (i = 0; i < 7; i++) put_file(line, (size_t)sprintf(line, "%c%s", 2, extra[i]));
  for (i = 0; i < 4; i++) put_file(line, (size_t)sprintf(line, "%c%s", 240, samplings[i]));
  for (i = 0; i < 11; i++) put_file(line, (size_t)sprintf(line, "%c%s", 250, baselines[i]));
}

static void seed_resume(void)
{
  uint8_t s[4096];
  int i;
  resume_begin();
  for (i = 0; i < 8; i++) {
    s[0] = (uint8_t)i;
    memcpy(s + 1, resume.state, resume.size);
    put_file(s, 1 + resume.size);
  }
}

static void seed_rows(void)
{
  static const char *const options[] = {"", "--stream", "--x\na,b\n--y\nc", "--separator\nspace", "--decimal\n,",
    "--header\n--skip-na", "--count=7\n--steps\n1e4\n--seed=18446744073709551615", "--level\n0.25\n--kind=two",
    "--help", "--x=1\n--y=2", "--sepa", "--\nfile", "--config\nfile", "@file\n--count=5", "--config=file\n--header"};
  static const char *const texts[] = {"1,2\n3,4\n5,?\n", "a,b,c\n1,2,3\n4,5,\n", "x;y\n1,5;2,5\n2,5;\n",
    "\xEF\xBB\xBF\"a\",\"b \"\"c\"\"\"\r\n\"1\",\"2\"\r\n3,?\r\n", "t\ty\n2024-05-01\t1\n2024-05-02T12:30:00\t2\n2024-06-01\t\n",
    "# note\n1 2 3\n4 5 ?\n", "\"\",mpg,cyl\n\"Mazda\",21,6\n\"Datsun\",22.8,4\n\"Fiat\",?,4\n", "1,NA\n2,3\n4,\n",
    "1e3,\xE2\x88\x92""2\n+5,1.5e-3\n7,\n", "1,2,\n3,4,\n5,,\n\x1A", "\xFF\xFE""1", "1\r2\r"};
  static const char *const configs[] = {
    "# defaults\ncount 7\n--level = 0.25\nkind two\nstream\n", "count=x\n", "level\n", "stream 1\n", "config f\n",
    "  steps\t1e4  \r\nseed 9\n", "coun 3\n", "x a,b\ny c\nheader\n", "separator space\ncount 100\nkind three\n"};
  static const char *const pairs[][2] = {
    {"--separator\ntab", "1\t2,5\n3\t4\n"}, {"--separator\n\\t", "1\t2\n3\t?\n"}, {"--separator\n,", "1,5\n2,6\n"},
    {"--separator\n,\n--decimal\n,", "1,5\n"}, {"--x\na", "\"a\",\"b\"\n1,2\n3,?\n"}, {"--x\n\"a\"", "\"a\",\"b\"\n1,2\n3,?\n"},
    {"--y\na", "a,b\n1,2\nNA,3\n"}, {"", "x,y\n1,NA\n"}, {"--skip-na", "x,y\n1,NA\n2,3\n"}, {"--stream", "x,y\n2024-05-01,1\n"},
    {"", "a,b\n1,2,3\n"}, {"", "1,2\n1,2,3\n"}, {"--header", ""}, {"--stream", ""}, {"--x\nrow", "row,y\n1,2\n2,3\n"}};
  uint8_t line[400];
  size_t i, k;
  for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    size_t n = strlen(pairs[i][0]), m = strlen(pairs[i][1]);
    line[0] = (uint8_t)n;
    memcpy(line + 1, pairs[i][0], n);
    memcpy(line + 1 + n, pairs[i][1], m);
    put_file(line, 1 + n + m);
  }
  for (i = 0; i < 15; i++)
    for (k = 0; k < (i < 12 ? 12 : 9); k++) {
      const char *text = i < 12 ? texts[k] : configs[k];
      size_t n = strlen(options[i]), m = strlen(text);
      if (i < 12 && i && k && (i + k) % 3) continue;
      line[0] = (uint8_t)n;
      memcpy(line + 1, options[i], n);
      memcpy(line + 1 + n, text, m);
      put_file(line, 1 + n + m);
    }
}

/* The words of the mutator, which AFL++ does not run. */
static int print_words(void)
{
  const char *s;
  size_t i;
  for (i = 0; (s = load_word_at(i)) != NULL; i++) {
    putchar('"');
    for (; *s; s++) printf(isalnum((unsigned char)*s) ? "%c" : "\\x%02x", *s & 0xff);
    puts("\"");
  }
  return 0;
}

static int unpack_with_seeds(const target *t)
{
  static void (*const seeds[])(void) = {seed_header, seed_life, seed_restore, seed_text, seed_resume, seed_rows};
  unpack(t);
  seeds[t - targets]();
  return 0;
}

int main(int argc, char **argv)
{
  if (argc == 2) return strcmp(argv[1], "words") ? write_verdicts() : print_words();
  if (argc == 3) {
    size_t n;
    uint8_t *data = read_all(argv[1], &n);
    return find_target(argv[2])->run(data, n);
  }
  if (argc == 4) {
    const target *t = find_target(argv[2]);
    folder = argv[3];
    return strcmp(argv[1], "pack") ? unpack_with_seeds(t) : pack(t);
  }
  RUN(checkpoints); RUN(lives_of_models); RUN(snapshots); RUN(texts_of_tasks); RUN(training_states); RUN(options_and_rows);
  return test_report("fuzz");
}
#endif
