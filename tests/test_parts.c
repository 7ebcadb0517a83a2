/* The parts of the loader, the digest and the snapshot, each by itself, against other ways to say the same:
 * strtof, decoded code points, a digest byte by byte, sorted ranges. */
#define ICL_IMPLEMENTATION
#include "../icl.h"
#include "test.h"

#define COUNT(a) ((int)(sizeof (a) / sizeof *(a)))

/* A copy of s[n] in a block of its own size, so that sanitizers see what is read beyond it; for a while. */
static char *block_of(const char *s, size_t n)
{
  static char *blocks[64];
  static unsigned at;
  char **block = &blocks[at++ % COUNT(blocks)];
  free(*block);
  *block = s ? (char *)malloc(n ? n : 1) : NULL;
  if (*block) memcpy(*block, s, n);
  return *block;
}

static void free_blocks(void)
{
  int i;
  for (i = 0; i < 64; i++) block_of(NULL, 0);
}

/* The first n bytes of s. */
static icl__string cut_at(const char *s, size_t n)
{
  icl__string x;
  x.s = block_of(s, n);
  x.n = n;
  x.at = 0;
  x.escaped = 0;
  return x;
}

static icl__string string_of(const char *s) { return cut_at(s, strlen(s)); }

/* The same with its NUL still behind it: what comes after the text is not read. */
static icl__string cut_before(const char *s, size_t n)
{
  icl__string x = string_of(s);
  x.n = n;
  return x;
}

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

/* ----- numbers ---------------------------------------------------------------------------------- */

/* As near as strtof's; of two that are equally near either. */
static void check_float(const char *s)
{
  float v = 77;
  CHECK_EQ(icl__parse_float(string_of(s), &v), 1);
  if (!(fabs((double)v - strtod(s, NULL)) <= fabs((double)strtof(s, NULL) - strtod(s, NULL)))
      && test_fail(__FILE__, __LINE__, s)) printf(" is %.9g\n", (double)v);
}

/* As strtof rounds: whole numbers and fractions of up to 19 digits, with all exponents that floats have. */
TEST(floats)
{
  static const char *const some[] = {
    "0", "1", "10", "1e0", "1e+5", "1E5", "1e05", "1e-05", "1E-00005", "5.", ".5", "0.5", "5.e2", ".5e2", "00012", "1e38", "3.4028234e38",
    "3.4028235e38", "1.1754944e-38", "1.1754943e-38", "1e-45", "1.4e-45", "2.1e-45", "7.1e-46", "7e-46", "1e-46", "1e-50", "1e-60", "123456e-60",
    "16777217", "16777219", "0.1", "0.3", "123456789012345678", "1234567890123456789", "12345678901234567890123", "1.2345678901234567890123",
    "0.00000000000000000000000000000000000000000000000000000000001", "1000000000000000000000000000000000000", "0e60", "0e-60",
    "576460752303423487", "576460752303423488", "57646075230342348.8", "1152921504606846975", "1.1529215046068469761"
  };
  char s[80];
  int i, n;
  for (i = 0; i < COUNT(some); i++) check_float(some[i]);
  for (i = 0; i < 20000; i++) {
    int digits = 1 + (int)draw(17), point = (int)draw(20), k;
    for (n = k = 0; k < digits; k++) {
      if (k == point) s[n++] = '.';
      s[n++] = (char)('0' + draw(10));
    }
    if (draw(4)) n += sprintf(s + n, "e%d", (int)draw(90) - 60);
    s[n] = 0;
    if (strtof(s, NULL) <= 3.4e38f) check_float(s);
  }
}

TEST(texts_that_are_no_floats)
{
  static const char *const some[] = {
    "", ".", "e5", ".e5", "1e", "1e-", "1e+", "1..2", "1.2.3", "-1", "+1", "1e61", "1e-61", "1 ", " 1", "1x", "1e5x", "1e5.0", "1ee5", "1e--5",
    "1/", "1:", "1e/", "nan", "inf", "0x1", "4e38", "1e39", "1e60", "1f5", "1d5"
  };
  float v;
  char s[80];
  int i;
  for (i = 0; i < COUNT(some); i++)
    if (icl__parse_float(string_of(some[i]), &v) && test_fail(__FILE__, __LINE__, some[i])) printf(" is taken\n");
  memset(s, '0', sizeof s);
  s[64] = 0;
  CHECK_EQ(icl__parse_float(string_of(s), &v), 1);
  s[64] = '0';
  s[65] = 0;
  CHECK_EQ(icl__parse_float(string_of(s), &v), 0);
  CHECK(icl__parse_float(cut_before("12345e1", 5), &v) && v == 12345);
  CHECK(icl__parse_float(cut_before("12345e1", 3), &v) && v == 123);
  CHECK(!icl__parse_float(cut_before("12345e1", 6), &v));
  CHECK(icl__parse_float(cut_before("1e12", 3), &v) && v == 10);
  CHECK(!icl__parse_float(cut_before("1e-2", 2), &v) && !icl__parse_float(cut_before("1e-2", 3), &v));
}

/* Half way between two floats is m 2^37, m odd and below 2^25, and m 2^38 from 2^62 on.  One more is above it, which
 * the last of 19 digits says; it counts as long as those before it are below 2^59. */
TEST(the_last_digit_that_counts)
{
  char s[40];
  float v, rounded;
  int k, counts = 0, not = 0;
  for (k = 0; k < 3000; k++) {
    uint64_t m = 2 * ((uint64_t)10485760 + (uint64_t)k % 1500 * 4001) + 1, n = (m << (37 + k / 1500)) + 1;
    if (m >> 25 || n % 10 < 2) continue;
    CHECK_EQ(sprintf(s, "%llu", (unsigned long long)n), 19);
    CHECK(icl__parse_float(string_of(s), &v));
    if (n / 10 >> 59) {
      s[18] = '0';
      CHECK(icl__parse_float(string_of(s), &rounded) && v == rounded);
      not++;
    } else {
      CHECK(v == strtof(s, NULL));
      counts += n / 10 >> 58 != 0;
    }
  }
  CHECK(counts > 100 && not > 100);
}

TEST(whole_numbers)
{
  static const struct { const char *s; int ok; uint64_t v; size_t at; } some[] = {
    {"0", 1, 0, 1}, {"7", 1, 7, 1}, {"90", 1, 90, 2}, {"01", 0, 0, 0}, {"00", 0, 0, 0}, {"", 0, 0, 0}, {"x", 0, 0, 0}, {"/", 0, 0, 0},
    {":", 0, 0, 0}, {"1/", 1, 1, 1}, {"1:", 1, 1, 1}, {"9007199254740992", 1, (uint64_t)1 << 53, 16}, {"9007199254740993", 0, 0, 0},
    {"9007199254740991", 1, ((uint64_t)1 << 53) - 1, 16}, {"18446744073709551616", 0, 0, 0}, {"12 ", 1, 12, 2}
  };
  int i, n;
  for (i = 0; i < COUNT(some); i++) {
    size_t at = 0;
    uint64_t v = 77;
    CHECK_EQ(icl__digits(some[i].s, strlen(some[i].s), &at, &v), some[i].ok);
    CHECK(some[i].ok ? v == some[i].v && at == some[i].at : v == 77);
  }
  CHECK(icl__parse_int(string_of("12"), 12, &n) && n == 12);
  CHECK(!icl__parse_int(string_of("13"), 12, &n) && !icl__parse_int(string_of("1x"), 12, &n) && !icl__parse_int(string_of(""), 12, &n));
}

TEST(hexadecimal_digits)
{
  static const char *const bad[] = {"", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF", "g123456789abcdef", "0123456789abcde/",
                                    "0123456789abcde:", "`123456789abcdef", "012345678 abcdef"};
  uint64_t v = 77;
  int i;
  for (i = 0; i < COUNT(bad); i++) CHECK(!icl__parse_hex64(string_of(bad[i]), &v) && v == 77);
  CHECK(icl__parse_hex64(string_of("0123456789abcdef"), &v) && v == 0x0123456789abcdefu);
  CHECK(icl__parse_hex64(string_of("fedcba9876543210"), &v) && v == 0xfedcba9876543210u);
  CHECK(icl__parse_hex64(string_of("0000000000000000"), &v) && v == 0);
}

static int typical(const char *s, int *n)
{
  static float out[20];
  return icl__parse_typical(string_of(s), out, n);
}

TEST(typical_surprise)
{
  static const char *const bad[] = {"", "1", "1 ", "1 2 ", " 1 2", "1  2", "1 2 3", "1 1", "2 1", "1 2 5 4", "1 -2", "- 2", "1000001 1000002",
                                    "1 1000001", "-1000001 0", "1 2x", "1,2", "01 2", "1 2 3 4 "};
  float out[4] = {7, 7, 7, 7};
  static char long_text[4 * 4097 + 1];
  int i, n;
  for (i = 0; i < COUNT(bad); i++)
    if (typical(bad[i], &n) && test_fail(__FILE__, __LINE__, bad[i])) printf(" is taken\n");
  CHECK(icl__parse_typical(string_of("-1000000 1000000 0 1"), out, &n) && n == 2);
  CHECK(out[0] == -1000 && out[1] == 1000 && out[2] == 0 && out[3] == 0.001f);
  CHECK(icl__parse_typical(string_of("5 6"), NULL, &n) && n == 1);
  CHECK(icl__parse_typical(cut_before("1 23", 3), out, &n) && n == 1 && out[1] == 0.002f);
  CHECK(!icl__parse_typical(cut_before("1 23", 2), out, &n) && !icl__parse_typical(cut_before("1 23", 1), out, &n));
  CHECK(!icl__parse_typical(cut_before("1 -23", 2), out, &n) && !icl__parse_typical(cut_before("1 -23", 3), out, &n));
  CHECK(!icl__parse_typical(cut_at("1 -23", 2), out, &n) && !icl__parse_typical(cut_at("1 -23", 1), out, &n));
  for (i = 0; i < 4097; i++) memcpy(long_text + 4 * i, "1 2 ", 4);           /* 4096 couples, not more */
  CHECK(icl__parse_typical(cut_at(long_text, 4 * 4096 - 1), NULL, &n) && n == 4096);
  CHECK(!icl__parse_typical(cut_at(long_text, 4 * 4097 - 1), NULL, &n));
}

TEST(levels_of_quantiles)
{
  static const struct { const char *s; int n; } some[] = {
    {"0.5", 1}, {".25,.5", 2}, {"", 0}, {",", 0}, {",0.5", 0}, {"0.5,", 0}, {"0.5,,0.6", 0}, {"0.5,0.5", 0}, {"0.6,0.5", 0}, {"0", 0}, {"1", 0},
    {"0.1,1", 0}, {"x", 0}, {"0.1 ,0.2", 0}
  };
  static const char many[] = ".01,.02,.03,.04,.05,.06,.07,.08,.09,.10,.11,.12,.13,.14,.15,.16";
  struct { icl_config c; float behind[2]; } x;
  int i, k;
  for (i = 0; i < COUNT(some); i++) {
    memset(&x, 0, sizeof x);
    x.c.n_quantiles = 5;
    CHECK_EQ(icl__parse_quantiles(string_of(some[i].s), &x.c), some[i].n > 0);
    if (!some[i].n) continue;
    CHECK_EQ(x.c.n_quantiles, some[i].n);
    for (k = 0; k < some[i].n; k++) CHECK(x.c.quantiles[k] == (some[i].n == 1 ? 0.5f : 0.25f * (float)(k + 1)));
  }
  CHECK_EQ(ICL_MAX_QUANTILES, 15);
  CHECK(icl__parse_quantiles(cut_at(many, 4 * 15 - 1), &x.c) && x.c.n_quantiles == 15 && x.c.quantiles[14] == 0.15f);
  CHECK(!icl__parse_quantiles(string_of(many), &x.c));
  CHECK(x.behind[0] == 0 && x.behind[1] == 0);
}

/* ----- strings ---------------------------------------------------------------------------------- */

/* Length of the code point at s[n], as its number tells; 0 for none. */
static size_t utf8_ref(const unsigned char *s, size_t n)
{
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t len = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0, i;
  uint32_t c = len == 1 ? s[0] : s[0] & (0x7fu >> len);
  if (!len || len > n) return 0;
  for (i = 1; i < len; i++) {
    if (s[i] >> 6 != 2) return 0;
    c = c << 6 | (s[i] & 63u);
  }
  return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

TEST(utf8)
{
  static const unsigned char next[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xff};
  unsigned char s[4];
  int a, b, c, d, n;
  for (a = 0; a < 256; a++)
    for (b = 0; b < 256; b++)
      for (c = 0; c < 8; c++)
        for (d = 0; d < (a < 0xf0 ? 1 : 8); d++)
          for (n = 1; n <= 4; n++) {
            s[0] = (unsigned char)a; s[1] = (unsigned char)b; s[2] = next[c]; s[3] = next[d];
            if (icl__utf8(s, (size_t)n) != utf8_ref(s, (size_t)n)) CHECK_EQ(a << 8 | b, -1);
          }
}

static icl__json json_of(const char *text, size_t n, icl_report *r)
{
  icl__json j;
  memset(&j, 0, sizeof j);
  j.text = block_of(text, n);
  j.end = n;
  j.r = r;
  return j;
}

/* Texts in quotes: their length, or the place of what is wrong with them. */
TEST(strings_and_escapes)
{
  static const char esc[] = "bad escape in a string", control[] = "control character in a string", bad[] = "a string is not UTF-8";
  static const char no_end[] = "a string does not end", none[] = "expected a string";
  static const struct { const char *text; size_t n; const char *wrong; size_t cut; } some[] = {
    {"\"a\"", 1, 0, 0}, {"\"\"", 0, 0, 0}, {"\" \"", 1, 0, 0}, {"\"~\"", 1, 0, 0}, {"\"\x7f\"", 1, 0, 0}, {"\"\x1f\"", 1, control, 0},
    {"\"\x01\"", 1, control, 0}, {"\"ab\n\"", 3, control, 0}, {"\"!\"", 1, 0, 0}, {"\"\\n\"", 2, 0, 0}, {"\"\\\"\"", 2, 0, 0}, {"\"\\\\\"", 2, 0, 0},
    {"\"\\/\"", 2, 0, 0}, {"\"\\b\\f\\r\\t\"", 8, 0, 0}, {"\"\\a\"", 2, esc, 0}, {"\"\\u0041\"", 6, 0, 0}, {"\"\\uafAF\"", 6, 0, 0},
    {"\"\\u09f0\"", 6, 0, 0}, {"\"\\u004g\"", 6, esc, 0}, {"\"\\u00`0\"", 5, esc, 0}, {"\"\\u00@0\"", 5, esc, 0}, {"\"\\u00G0\"", 5, esc, 0},
    {"\"\\u/000\"", 3, esc, 0}, {"\"\\u:000\"", 3, esc, 0}, {"\"\\u004\"", 6, esc, 0}, {"\"a", 2, no_end, 0}, {"\"", 1, no_end, 0},
    {"a\"", 0, none, 0}, {"", 0, none, 0}, {"\"\xc3\xa9\"", 2, 0, 0}, {"\"\xc3\"", 1, bad, 0}, {"\"a\xff\"", 2, bad, 0}, {"\"\\u0", 2, esc, 0},
    {"\"\\", 2, esc, 0}, {"\"\\n\"", 2, esc, 2}, {"\"\\u0041\"", 2, esc, 6}, {"\"\\u0041\"", 7, no_end, 7}, {"\"\xc3\xa9\"", 1, bad, 2},
    {"\"\xc3\xa9\"", 3, no_end, 3}, {"\"a\"", 2, no_end, 2}
  };
  int i;
  for (i = 0; i < COUNT(some); i++) {
    icl_report r;
    icl__json j;
    icl__string s;
    icl_error e;
    int exact;
    for (exact = 0; exact < 2; exact++) {
      j = json_of(some[i].text, exact && some[i].cut ? some[i].cut : strlen(some[i].text), &r);
      if (some[i].cut) j.end = some[i].cut;
      e = icl__read_string(&j, &s);
      CHECK_EQ(e, some[i].wrong ? ICL_ERR_FORMAT : ICL_OK);
      if (e) {
        CHECK_STR(r.text, some[i].wrong ? some[i].wrong : "");
        CHECK_EQ(r.offset, 8 + some[i].n);
      } else {
        CHECK(s.n == some[i].n && s.s == j.text + 1 && j.at == s.n + 2 && s.at == 1);
        CHECK_EQ(s.escaped, memchr(s.s, '\\', s.n) != NULL);
      }
    }
  }
}

/* What comes after the end is no part of a number. */
TEST(numbers_in_texts)
{
  static const struct { const char *text; size_t end; int ok; uint64_t v; } some[] = {
    {"12", 2, 1, 12}, {" \t\n\r7", 5, 1, 7}, {"12.5", 2, 1, 12}, {"12e5", 2, 1, 12}, {"12-5", 2, 1, 12}, {"12.5", 4, 0, 0}, {"12e", 3, 0, 0}, {"12E1", 4, 0, 0},
    {"1+", 2, 0, 0}, {"1-", 2, 0, 0}, {"1,", 2, 1, 1}, {"-1", 2, 0, 0}, {"", 0, 0, 0}, {"01", 2, 0, 0}, {"125", 2, 1, 12}, {"1\0", 2, 1, 1}
  };
  uint64_t v[3];
  int i, n;
  icl_report r;
  icl__json j;
  for (i = 0; i < COUNT(some); i++) {
    j = json_of(some[i].text, some[i].end + (some[i].text[some[i].end] != 0), &r);
    j.end = some[i].end;
    CHECK_EQ(icl__read_uint(&j, v), some[i].ok ? ICL_OK : ICL_ERR_FORMAT);
    if (some[i].ok) CHECK(v[0] == some[i].v);
    else CHECK_STR(r.text, "expected a whole number from 0 to 2^53");
    j = json_of(some[i].text, some[i].end, &r);
    CHECK_EQ(icl__read_uint(&j, v), some[i].ok ? ICL_OK : ICL_ERR_FORMAT);
  }
  j = json_of("[1, 2 ,3]", 9, &r);
  CHECK(!icl__read_uints(&j, v, 3, &n) && n == 3 && v[0] == 1 && v[1] == 2 && v[2] == 3 && j.at == 9);
  j = json_of("[ ]", 3, &r);
  CHECK(!icl__read_uints(&j, v, 3, &n) && n == 0 && j.at == 3);
  j = json_of("[1,2,3,4]", 9, &r);
  CHECK_EQ(icl__read_uints(&j, v, 3, &n), ICL_ERR_FORMAT);
  CHECK_STR(r.text, "too many numbers in a list");
  CHECK_EQ(r.offset, 8 + 7);
}

TEST(types_of_numbers)
{
  static const struct { const char *name; int type, bytes; } some[] = {
    {"F32", ICL__F32, 4}, {"F16", ICL__F16, 2}, {"BF16", ICL__BF16, 2}, {"I8", ICL__I8, 1}, {"F64", ICL__OTHER, 8}, {"I64", ICL__OTHER, 8},
    {"I32", ICL__OTHER, 4}, {"I16", ICL__OTHER, 2}, {"U64", ICL__OTHER, 8}, {"U32", ICL__OTHER, 4}, {"U16", ICL__OTHER, 2}, {"U8", ICL__OTHER, 1},
    {"BOOL", ICL__OTHER, 1}, {"", -1, 0}, {"F3", -1, 0}, {"F320", -1, 0}, {"f32", -1, 0}, {"F8_E4M3", -1, 0}
  };
  int i;
  for (i = 0; i < COUNT(some); i++) {
    icl_report r;
    icl__json j = json_of("", 0, &r);
    icl__dtype type;
    uint64_t bytes;
    icl_error e = icl__read_dtype(&j, string_of(some[i].name), &type, &bytes);
    CHECK_EQ(e, some[i].type < 0 ? ICL_ERR_TENSOR : ICL_OK);
    if (!e) CHECK((int)type == some[i].type && bytes == (uint64_t)some[i].bytes);
  }
}

TEST(starts_and_ends)
{
  CHECK(icl__starts(string_of("abc"), "abc") && icl__starts(string_of("abcd"), "abc") && icl__starts(string_of(""), ""));
  CHECK(!icl__starts(string_of("ab"), "abc") && !icl__starts(cut_before("abc", 2), "abc") && !icl__starts(string_of("xabc"), "abc"));
  CHECK(icl__is(string_of("abc"), "abc") && !icl__is(string_of("abcd"), "abc") && !icl__is(string_of("ab"), "abc"));
}

/* ----- names ------------------------------------------------------------------------------------ */

TEST(names)
{
  static const struct { const char *s; int part, layer, row; } some[] = {
    {"_read_in.weight", ICL__IN_FRONT, -1, ICL__READ_IN_W}, {"_read_in.bias", ICL__IN_FRONT, -1, ICL__READ_IN_B},
    {"_backbone.wpe.weight", ICL__IN_FRONT, -1, ICL__WPE}, {"_backbone.wte.weight", ICL__BUFFER, -1, 0},
    {"_backbone.ln_f.weight", ICL__AT_END, -1, ICL__LNF_W}, {"_read_out.bias", ICL__AT_END, -1, ICL__OUT_B},
    {"_backbone.h.0.ln_1.weight", ICL__IN_BLOCK, 0, ICL__LN1_W}, {"_backbone.h.12.mlp.c_proj.bias", ICL__IN_BLOCK, 12, ICL__MLP_B},
    {"_backbone.h.3.mlp.c_proj.weight.scale", ICL__IN_BLOCK, 3, ICL__MLP_S}, {"_backbone.h.3.attn.bias", ICL__BUFFER, 3, 0},
    {"_backbone.h.3.attn.masked_bias", ICL__BUFFER, 3, 1}, {"_backbone.h.2147483647.ln_1.bias", ICL__IN_BLOCK, INT32_MAX, ICL__LN1_B},
    {"module._orig_mod.module._read_in.bias", ICL__IN_FRONT, -1, ICL__READ_IN_B}, {"_orig_mod._backbone.h.7.attn.bias", ICL__BUFFER, 7, 0},
    {"_backbone.h.2147483648.ln_1.bias", -1, 0, 0}, {"_backbone.h.", -1, 0, 0}, {"_backbone.h.0", -1, 0, 0}, {"_backbone.h.0.", -1, 0, 0},
    {"_backbone.h.0xln_1.bias", -1, 0, 0}, {"_backbone.h.00.ln_1.bias", -1, 0, 0}, {"_backbone.h.x.ln_1.bias", -1, 0, 0}, {"", -1, 0, 0},
    {"module.", -1, 0, 0}, {"_orig_mod.", -1, 0, 0}, {"module", -1, 0, 0}, {"_read_in.weigh", -1, 0, 0}, {"_read_in.weightx", -1, 0, 0},
    {"_backbone.h.3.attn.masked_bia", -1, 0, 0}, {"_backbone.h.3._read_in.bias", -1, 0, 0}, {"_orig_mod.x", -1, 0, 0}
  };
  icl__place p;
  int i;
  for (i = 0; i < COUNT(some); i++) {
    int ok = icl__lookup(string_of(some[i].s), &p);
    CHECK_EQ(ok, some[i].part >= 0);
    if (ok && ((int)p.part != some[i].part || p.layer != some[i].layer || p.row != some[i].row)) CHECK_STR(some[i].s, "as it should be");
  }
  for (i = 0; i < 23; i++) {
    CHECK(!icl__lookup(cut_at("_backbone.h.0.attn.bias", (size_t)i), &p));
    CHECK(!icl__lookup(cut_before("_backbone.h.0.attn.bias", (size_t)i), &p));
    if (i < 20) CHECK(!icl__lookup(cut_before("module._read_in.bias", (size_t)i), &p));
  }
}

/* A known name at the end of one that is not known is told. */
TEST(names_with_unknown_prefixes)
{
  char s[300];
  int i;
  CHECK_STR(icl__unknown(string_of("_read_in.weigh")), "unknown tensor");
  CHECK_STR(icl__unknown(string_of("a_read_in.weight")), "unknown prefix in the name of tensor");
  CHECK_STR(icl__unknown(string_of("xmodule._backbone.h.3.attn.bias")), "unknown prefix in the name of tensor");
  CHECK_STR(icl__unknown(string_of("")), "unknown tensor");
  memset(s, '_', sizeof s);
  strcpy(s + 250, "_read_in.weight");
  CHECK_STR(icl__unknown(string_of(s)), "unknown prefix in the name of tensor");
  for (i = 180; i < 230; i++) {
    memset(s, '_', sizeof s);
    strcpy(s + i - 15, "_read_in.weight");
    CHECK_STR(icl__unknown(string_of(s)), "unknown prefix in the name of tensor");
    s[i - 1] = 'x';
    CHECK_STR(icl__unknown(string_of(s)), "unknown tensor");
  }
}

/* Sizes at their limits, which a header alone can have. */
TEST(sizes_of_tensors)
{
  static const struct { const char *name; uint64_t rows, cols; icl_error e; } some[] = {
    {"_read_in.weight", 65536, 65536, ICL_OK}, {"_read_in.weight", 1, 65537, ICL_ERR_LIMIT}, {"_read_in.weight", 1 << 24, 1, ICL_OK},
    {"_read_in.weight", (1 << 24) + 1, 1, ICL_ERR_LIMIT}, {"_backbone.wpe.weight", 5, 7, ICL_OK}, {"_read_out.weight", 3, 9, ICL_OK},
    {"_backbone.h.511.ln_1.weight", 1, 1, ICL_OK}, {"_backbone.h.512.ln_1.weight", 1, 1, ICL_ERR_LIMIT}, {"_backbone.ln_f.weight", 8, 8, ICL_OK},
    {"_backbone.h.0.attn.bias", 1 << 25, 1, ICL_OK}, {"_read_in.bias", 5, 7, ICL_OK}, {"_read_out.bias", 5, 7, ICL_OK}
  };
  int i;
  for (i = 0; i < COUNT(some); i++) {
    icl__file f;
    icl__json j;
    icl__entry e;
    icl_report r;
    memset(&f, 0, sizeof f);
    memset(&j, 0, sizeof j);
    memset(&e, 0, sizeof e);
    j.r = &r;
    e.name = string_of(some[i].name);
    e.rank = 2;
    e.shape[0] = some[i].rows;
    e.shape[1] = some[i].cols;
    CHECK_EQ(icl__lookup(e.name, &e.place), 1);
    CHECK_EQ(icl__take_sizes(&f, &j, &e), some[i].e);
    if (some[i].e) continue;
    CHECK_EQ(f.cfg.n_embd, i == 0 || i == 2 ? some[i].rows : 0);
    CHECK_EQ(f.cfg.n_dims, i == 0 || i == 2 ? some[i].cols : 0);
    CHECK(f.has_wpe == (i == 4) && f.cfg.n_positions == (i == 4 ? 5 : 0));
    CHECK_EQ(f.cfg.n_out, i == 5 ? 3 : 0);
    CHECK_EQ(f.cfg.n_layer, i == 6 ? 512 : i == 9 ? 1 : 0);
  }
}

/* 4 (2^31 - 1) (2^31 + 1) bytes are 2^64 - 4: as many as from 4 to 0, if that went round. */
TEST(offsets_that_go_backwards)
{
  static const struct { const char *text; icl_error e; } some[] = {
    {"{\"dtype\":\"F32\",\"shape\":[2147483647,2147483649],\"data_offsets\":[4,0]}", ICL_ERR_FORMAT},
    {"{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648],\"data_offsets\":[0,0]}", ICL_ERR_TENSOR},
    {"{\"dtype\":\"I8\",\"shape\":[4294967295,4294967297],\"data_offsets\":[1,0]}", ICL_ERR_FORMAT},
    {"{\"dtype\":\"I8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}", ICL_ERR_TENSOR},
    {"{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}", ICL_OK}, {"{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,8]}", ICL_ERR_FORMAT},
    {"{\"dtype\":\"I8\",\"shape\":[3,5],\"data_offsets\":[0,15]}", ICL_OK}
  };
  int i;
  for (i = 0; i < COUNT(some); i++) {
    icl__json j;
    icl__entry e;
    memset(&j, 0, sizeof j);
    memset(&e, 0, sizeof e);
    j.text = some[i].text;
    j.end = strlen(some[i].text);
    CHECK_EQ(icl__read_entry(&j, &e), some[i].e);
  }
}

/* ----- ranges ----------------------------------------------------------------------------------- */

enum { PIECES = 12, ROOMS = 4 };

static int overlap(const icl__range *ranges, size_t n, icl__range x)
{
  size_t i;
  for (i = 0; i < n; i++) if (ranges[i].begin < x.end && x.begin < ranges[i].end) return 1;
  return 0;
}

/* As icl__data_tiles, with room for four ranges. */
static int tiles(const icl__range *x, int n, uint64_t *size)
{
  icl__range ranges[ROOMS];
  uint64_t from, limit = 0;
  size_t have, k;
  int i, walks = 0, overlaps;
  ranges[0].begin = ranges[0].end = 0;
  do {
    for (from = limit, limit = UINT64_MAX, have = 1, i = 0; i < n; i++) {
      if (x[i].begin < from || x[i].begin >= limit) continue;
      overlaps = overlap(ranges, have, x[i]);
      CHECK_EQ(icl__add_range(ranges, ROOMS, &have, x[i], &limit), !overlaps);
      if (overlaps) return 0;
      CHECK(have >= 1 && have <= ROOMS);
      for (k = 1; k < have; k++) CHECK(ranges[k - 1].end < ranges[k].begin && ranges[k].begin < ranges[k].end);
    }
    if (have > 1) return 0;
    if (++walks > PIECES) return -1;
  } while (limit < UINT64_MAX);
  *size = ranges[0].end;
  return 1;
}

TEST(ranges_in_any_order)
{
  int run, i, k;
  for (run = 0; run < 30000; run++) {
    icl__range x[PIECES], t;
    int n = 1 + (int)draw(PIECES), ok = 1;
    uint64_t at = 0, size = 77;
    for (i = 0; i < n; i++) { x[i].begin = at; x[i].end = at += 1 + draw(3); }
    if (draw(3) == 0) {
      k = (int)draw((uint32_t)n);
      i = (int)draw(3) + 1;
      if (draw(2) && x[k].begin >= (uint64_t)i) { x[k].begin -= (uint64_t)i; x[k].end -= (uint64_t)i; ok = 0; }
      else { x[k].begin += (uint64_t)i; x[k].end += (uint64_t)i; ok = 0; }
    }
    for (i = n - 1; i > 0; i--) { k = (int)draw((uint32_t)i + 1); t = x[i]; x[i] = x[k]; x[k] = t; }
    CHECK_EQ(tiles(x, n, &size), ok);
    if (ok) CHECK_EQ(size, at);
  }
}

/* A header of n tensors in any order, their data from 0 on, one of them moved; text that looks like more of it
 * follows.  The names hold what could be taken for the key data_offsets. */
enum { MOST_TENSORS = 450 };
typedef struct tensors {
  int n;
  icl__range x[MOST_TENSORS];
  size_t name_at[MOST_TENSORS], end, metadata, metadata_end;
  char text[80 * MOST_TENSORS];
} tensors;

static const char *const name_of[] = {"ta%d", "dt%d", "update%d", "xda[9,%d", "d%d", "a%d"};

static void write_tensors(tensors *t, int metadata)
{
  char *at = t->text;
  int i;
  *at++ = '{';
  t->metadata = t->metadata_end = 0;
  for (i = 0; i < t->n; i++) {
    if (i) *at++ = ',';
    if (i == metadata) {
      t->metadata = (size_t)(at + 1 - t->text);
      at += sprintf(at, "\"__metadata__\":{\"data_offsets\":\"[0,4]\"}");
      t->metadata_end = (size_t)(at - t->text);
      *at++ = ',';
    }
    t->name_at[i] = (size_t)(at + 1 - t->text);
    *at++ = '"';
    at += sprintf(at, name_of[i % 6], i);
    at += sprintf(at, i & 1 ? "\":{\"dtype\":\"I8\",\"shape\":[%d],\"data_offsets\":[%d,%d]}" : "\":{\"shape\":[%d],\"data_offsets\" : [ %d , %d ],\"dtype\":\"I8\"}",
                  (int)(t->x[i].end - t->x[i].begin), (int)t->x[i].begin, (int)t->x[i].end);
  }
  *at++ = '}';
  t->end = (size_t)(at - t->text);
  strcpy(at, ",\"x\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[1,2]}}");
}

/* The first one, by its place and then its name's, that does not begin where those before it end; -1 for none. */
static int first_misplaced(const tensors *t, uint64_t *end)
{
  static char used[MOST_TENSORS];
  int i, k, best;
  memset(used, 0, sizeof used);
  for (*end = 0, k = 0; k < t->n; k++) {
    for (best = -1, i = 0; i < t->n; i++)
      if (!used[i] && (best < 0 || t->x[i].begin < t->x[best].begin)) best = i;
    if (t->x[best].begin != *end) return best;
    *end = t->x[best].end;
    used[best] = 1;
  }
  return -1;
}

static void check_tensors(tensors *t, int metadata)
{
  icl__file f;
  icl_report r;
  uint64_t end;
  int wrong = first_misplaced(t, &end);
  char says[100];
  memset(&f, 0, sizeof f);
  write_tensors(t, metadata);
  f.header = t->text;
  f.header_size = t->end;
  f.metadata = t->metadata;
  f.metadata_end = t->metadata_end;
  CHECK_EQ(icl__data_tiles(&f), wrong < 0);
  if (wrong < 0) { CHECK_EQ(f.data_size, end); return; }
  CHECK_EQ(icl__misplaced(&f, &r), ICL_ERR_FORMAT);
  CHECK_EQ(r.offset, 8 + t->name_at[wrong]);
  sprintf(says, "%s '", t->x[wrong].begin > end ? "hole before tensor" : "overlapping tensor");
  sprintf(says + strlen(says), name_of[wrong % 6], wrong);
  strcat(says, "'");
  CHECK_STR(r.text, says);
}

/* Few tensors and many, forwards, backwards, in steps and mixed; whole, with a hole, an overlap, or two in one place. */
TEST(tensors_in_any_order)
{
  static tensors t;
  static icl__range sorted[MOST_TENSORS];
  int run, i, k;
  for (run = 0; run < 500; run++) {
    int how = run % 5, step;
    uint64_t at = 0;
    icl__range y;
    t.n = run < 400 ? 1 + run % 20 : run < 490 ? 60 + 4 * (run - 400) : 225;
    for (i = 0; i < t.n; i++) { sorted[i].begin = at; sorted[i].end = at += 1 + draw(3); }
    k = (int)draw((uint32_t)t.n);
    i = 1 + (int)draw(2);
    if (draw(2) && how && k) { sorted[k].begin += (uint64_t)i; sorted[k].end += (uint64_t)i; }
    if (draw(4) == 0 && how && sorted[k].begin) { sorted[k].begin -= 1; sorted[k].end -= 1; }
    if (draw(4) == 0 && k) sorted[k] = sorted[k - 1];
    for (step = run >= 490 ? 2 : 1; t.n % (how == 4 ? step : 1) == 0 && how == 4 && step < t.n; step += 2) {}
    for (i = 0; i < t.n; i++) t.x[i] = sorted[how == 0 ? i : how == 1 ? t.n - 1 - i : how == 2 && run >= 490 ? i * 2 % t.n : i];
    if (how > 2) for (i = t.n - 1; i > 0; i--) { k = (int)draw((uint32_t)i + 1); y = t.x[i]; t.x[i] = t.x[k]; t.x[k] = y; }
    check_tensors(&t, (int)draw(2) ? (int)draw((uint32_t)t.n + 1) : -1);
  }
  for (run = 0; run < 40; run++) {                      /* every second one, then the others: 112 places and more */
    t.n = 216 + run;
    for (i = 0; i < t.n; i++) { sorted[i].begin = 2 * (uint64_t)i; sorted[i].end = 2 * (uint64_t)i + 2; }
    for (i = 0; i < t.n; i++) {
      k = i < (t.n + 1) / 2 ? 2 * i : 2 * (i - (t.n + 1) / 2) + 1;
      t.x[i] = sorted[run % 2 ? t.n - 1 - k : k];
    }
    check_tensors(&t, -1);
    k = (int)draw((uint32_t)t.n);
    t.x[k].begin += 2 * draw(2);
    t.x[k].end = t.x[k].begin + 2;
    check_tensors(&t, -1);
    t.x[k].end++;
    check_tensors(&t, -1);
  }
}

/* ----- the start of a file ------------------------------------------------------------------------ */

TEST(lengths_of_headers)
{
  static const struct { const char *bytes; size_t n; icl_error e; const char *says; size_t length; } some[] = {
    {"\2\0\0\0\0\0\0\0", 8, ICL_OK, "", 2}, {"\1\0\0\0\0\0\0\0", 8, ICL_ERR_FORMAT, "header length below 2", 0},
    {"\0\0\0\0\0\0\0\0", 8, ICL_ERR_FORMAT, "header length below 2", 0}, {"\2\0\0\0\0\0\0", 7, ICL_ERR_FORMAT, "shorter than 8 bytes", 0},
    {"", 0, ICL_ERR_FORMAT, "shorter than 8 bytes", 0}, {"\0\0\x10\0\0\0\0\0", 8, ICL_OK, "", 1 << 20},
    {"\1\0\x10\0\0\0\0\0", 8, ICL_ERR_LIMIT, "not a safetensors file: header longer than 1 MiB", 0},
    {"\2\0\0\0\0\0\0\1", 8, ICL_ERR_LIMIT, "not a safetensors file: header longer than 1 MiB", 0},
    {"version ", 8, ICL_ERR_LIMIT, "not a safetensors file but a git-lfs pointer to one: fetch it with git lfs pull", 0},
    {"PK\3\4abcd", 8, ICL_ERR_LIMIT, "not a safetensors file but a zip file, as torch.save writes them", 0},
    {"\x80\2abcdef", 8, ICL_ERR_LIMIT, "not a safetensors file but a pickle, as torch.save writes them", 0},
    {"<html>..", 8, ICL_ERR_LIMIT, "not a safetensors file but HTML or XML, as a failed download leaves", 0},
    {"GGUF\3..\1", 8, ICL_ERR_LIMIT, "not a safetensors file but a GGUF file", 0}
  };
  int i;
  for (i = 0; i < COUNT(some); i++) {
    size_t n = 77;
    icl_report r;
    icl__ok(&r);
    CHECK_EQ(icl__header_size((const unsigned char *)block_of(some[i].bytes, some[i].n), some[i].n, &n, &r), some[i].e);
    CHECK_STR(r.text, some[i].says);
    CHECK_EQ(r.offset, 0);
    CHECK_EQ(n, some[i].e ? 77 : some[i].length);
  }
}

/* Data that end too early or late, by a byte or more, behind a header and without it. */
TEST(lengths_of_data)
{
  static unsigned char file[4096], longer[5000];
  static float weights[200];
  icl_config cfg;
  icl_report r;
  size_t n, cut;
  int by;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = cfg.n_embd = cfg.n_head = cfg.n_layer = cfg.n_out = 1;
  cfg.position_embedding_type = ICL_POSITION_NONE;
  cfg.n_positions = 9;
  cfg.layer_norm_epsilon = 1e-5f;
  n = icl_write_bytes(&cfg, NULL);
  CHECK(n > 500 && n <= sizeof file && icl_param_count(&cfg) <= 200);
  CHECK_EQ(icl_write(file, n, &cfg, weights, NULL), ICL_OK);
  memcpy(longer, file, n);
  for (by = -40; by < 40; by++) {
    cut = (size_t)((int)n + by);
    CHECK_EQ(icl_inspect(block_of((const char *)longer, cut), cut, NULL, NULL, &r), by ? ICL_ERR_FORMAT : ICL_OK);
    CHECK_STR(r.text, by < 0 ? "the data end too early" : by ? "bytes after the data" : "");
    CHECK_EQ(r.offset, by ? cut : 0);
  }
  cut = n - 4 * icl_param_count(&cfg);
  CHECK_EQ(icl_inspect(block_of((const char *)file, cut), cut, NULL, NULL, &r), ICL_ERR_FORMAT);
  CHECK_STR(r.text, "the data end too early");
  CHECK_EQ(icl_inspect(block_of((const char *)file, cut - 1), cut - 1, NULL, NULL, &r), ICL_ERR_FORMAT);
  CHECK_STR(r.text, "header longer than the file");
  CHECK_EQ(r.offset, 0);
}

/* ----- digests ---------------------------------------------------------------------------------- */

/* Bytes as numbers to the base 256, eight at a time. */
static uint64_t digest_ref(uint64_t h, const unsigned char *p, size_t n)
{
  size_t i, k;
  for (i = 0; i < n; i += 8) {
    uint64_t word = 0;
    for (k = i + 8; k-- > i;) word = 256 * word + (k < n ? p[k] : 0);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
  }
  return h;
}

TEST(digests)
{
  unsigned char p[50];
  size_t n, i;
  for (i = 0; i < sizeof p; i++) p[i] = (unsigned char)(i * 37 + 200);
  for (n = 0; n < 40; n++) CHECK(icl__digest(n, p + n % 8, n) == digest_ref(n, p + n % 8, n));
}

/* Every field of the configuration counts with all of its four bytes. */
TEST(digests_of_configurations)
{
  icl_config c;
  icl__string texts[ICL__TEXTS];
  unsigned char b[36];
  uint64_t h;
  uint32_t u;
  int i, k;
  memset(&c, 0, sizeof c);
  memset(texts, 0, sizeof texts);
  for (i = 0; i < 8; i++)
    for (k = 0; k < 4; k++) b[4 * i + k] = (unsigned char)(16 * i + k + 1);
  c.n_dims = 0x04030201; c.n_embd = 0x14131211; c.n_head = 0x24232221; c.n_layer = 0x34333231;
  c.n_positions = 0x44434241; c.n_out = 0x54535251;
  u = 0x64636261; memcpy(&c.position_embedding_type, &u, 4);
  u = 0x74737271; memcpy(&c.activation_function, &u, 4);
  u = 0x3f8ccccd; memcpy(&c.layer_norm_epsilon, &u, 4);
  b[32] = 0xcd; b[33] = 0xcc; b[34] = 0x8c; b[35] = 0x3f;
  h = digest_ref(0x69636c2e68000001u, b, 36);
  CHECK(icl__digest_config(&c) == h);
  c.tokens = ICL_TOKENS_JOINT;
  h = digest_ref(h, (const unsigned char *)"joint", 5);
  CHECK(icl__digest_config(&c) == h);
  c.n_quantiles = 2;
  c.quantiles[0] = 0.25f;
  c.quantiles[1] = 0.75f;
  h = digest_ref(digest_ref(h, (const unsigned char *)"\0\0\x80\x3e", 4), (const unsigned char *)"\0\0\x40\x3f", 4);
  CHECK(icl__digest_config(&c) == h);
  texts[0] = string_of("task");
  texts[1] = string_of("1 2");
  texts[2] = string_of("how it was drawn");
  h = digest_ref(digest_ref(h, (const unsigned char *)"task", 4), (const unsigned char *)"1 2", 3);
  h = digest_ref(digest_ref(h, (const unsigned char *)"\x10\0\0\0\0\0\0\0", 8), (const unsigned char *)"how it was drawn", 16);
  CHECK(icl__digest_texts(icl__digest_config(&c), texts) == h);
  texts[3] = string_of("recipe");
  h = digest_ref(digest_ref(h, (const unsigned char *)"\6\0\0\0\0\0\0\0", 8), (const unsigned char *)"recipe", 6);
  CHECK(icl__digest_texts(icl__digest_config(&c), texts) == h);
}

/* ----- snapshots --------------------------------------------------------------------------------- */

enum { PAIRS = 3, D = 2, HEAD = 16, FLOATS = 2 * D + 2 + PAIRS * (D + 1), SIZE = HEAD + 4 * FLOATS + 8 };

static float params[200];
static icl_model model;
static icl_ctx *context;

static void begin(void)
{
  static void *mem[200];
  icl_config cfg;
  size_t i;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = cfg.n_embd = D;
  cfg.n_head = cfg.n_layer = cfg.n_out = 1;
  cfg.position_embedding_type = ICL_POSITION_NONE;
  cfg.n_positions = 9;
  cfg.layer_norm_epsilon = 1e-5f;
  for (i = 0; i < 200; i++) params[i] = (float)((i * 37 + 11) % 19) / 16 - 0.55f;
  CHECK_EQ(icl_model_bind(&model, &cfg, params, mem, sizeof mem), ICL_OK);
  CHECK_EQ(icl_ctx_new(&context, &model, PAIRS, 4), ICL_OK);
}

/* Puts three pairs and a scale into the context. */
static void fill(void)
{
  static const float xs[] = {1, 2, -1, 0.5f, 0.25f, 4}, ys[] = {1, -2, 0.5f}, mean[] = {0.5f, -0.5f}, std[] = {2, 4};
  CHECK_EQ(icl_rewind(context, 0), ICL_OK);
  CHECK_EQ(icl_ctx_scale(context, mean, std, 0.125f, 8), ICL_OK);
  CHECK_EQ(icl_add_batch(context, PAIRS, xs, ys), ICL_OK);
}

static void put_digest(unsigned char *s, size_t n)
{
  uint64_t h = digest_ref(0, s, n - 8);
  int i;
  for (i = 0; i < 8; i++) s[n - 8 + (size_t)i] = (unsigned char)(h >> 8 * i);
}

TEST(a_snapshot_byte_by_byte)
{
  static const unsigned char head[] = {'I', 'C', 'L', 'C', 'T', 'X', '0', '4', 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0x3f, 0, 0, 0, 0xbf,
                                       0, 0, 0, 0x40, 0, 0, 0x80, 0x40, 0, 0, 0, 0x3e, 0, 0, 0, 0x41, 0, 0, 0x80, 0x3f};
  unsigned char s[SIZE + 8], copy[SIZE];
  icl_ctx none;
  memset(&none, 0, sizeof none);
  fill();
  CHECK_EQ(icl_ctx_save_bytes(context), SIZE);
  CHECK_EQ(icl_ctx_save_bytes(NULL), 0);
  CHECK_EQ(icl_ctx_save_bytes(&none), 0);
  memset(s, 0x77, sizeof s);
  CHECK_EQ(icl_ctx_save(context, s, SIZE - 1), ICL_ERR_MEMORY);
  CHECK_EQ(icl_ctx_save(context, NULL, SIZE), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_save(NULL, s, SIZE), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_save(&none, s, SIZE), ICL_ERR_ARG);
  CHECK_EQ(s[0], 0x77);
  CHECK_EQ(icl_ctx_save(context, s, SIZE), ICL_OK);
  CHECK_EQ(s[SIZE], 0x77);
  CHECK(!memcmp(s, head, sizeof head));
  memcpy(copy, s, SIZE);
  put_digest(copy, SIZE);
  CHECK(!memcmp(copy, s, SIZE));
}

static void check_refused(const unsigned char *s, size_t n, icl_error code, size_t offset)
{
  icl_report r;
  CHECK_EQ(icl_ctx_restore(context, s, n, &r), code);
  CHECK_EQ(r.code, code);
  CHECK_EQ(r.offset, offset);
  CHECK_EQ(icl_count(context), PAIRS);
  CHECK(context->y_scale[1] == 8);
}

TEST(snapshots_that_are_refused)
{
  unsigned char whole[SIZE + 1], s[SIZE + 4];
  icl_report r;
  icl_ctx none;
  size_t i;
  fill();
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_ctx_save(context, whole, SIZE), ICL_OK);
  CHECK_EQ(icl_ctx_restore(NULL, whole, SIZE, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'context'");
  CHECK_EQ(icl_ctx_restore(&none, whole, SIZE, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'context'");
  CHECK_EQ(r.offset, 0);
  CHECK_EQ(icl_ctx_restore(context, NULL, SIZE, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'buf'");
  for (i = 0; i < SIZE; i++) check_refused(whole, i, ICL_ERR_FORMAT, i < HEAD + 8 ? 0 : 8);
  check_refused(whole, SIZE + 1, ICL_ERR_FORMAT, 8);
  for (i = 0; i < SIZE; i++) {
    memcpy(s, whole, SIZE);
    s[i] ^= 64;
    if (i < 8) check_refused(s, SIZE, ICL_ERR_FORMAT, i < 6 ? 0 : 6);
    else if (i < 12) check_refused(s, SIZE, ICL_ERR_FULL, 8);
    else if (i < 16) check_refused(s, SIZE, ICL_ERR_STATE, 12);
    else check_refused(s, SIZE, ICL_ERR_DIGEST, SIZE - 8);
  }
  memcpy(s, whole, SIZE);
  s[8] = 2;                                     /* fewer pairs than there are bytes */
  check_refused(s, SIZE, ICL_ERR_FORMAT, 8);
  for (i = 0; i < FLOATS; i++) {
    int is_std = i == D || i == D + 1 || i == 2 * D + 1;
    memcpy(s, whole, SIZE);
    icl__put_le(s + HEAD + 4 * i, 0x7f800000u, 4);
    put_digest(s, SIZE);
    check_refused(s, SIZE, ICL_ERR_NONFINITE, HEAD + 4 * i);
    icl__put_le(s + HEAD + 4 * i, i & 1 ? 0x80000000u : 0xbf800000u, 4);
    put_digest(s, SIZE);
    if (is_std) check_refused(s, SIZE, ICL_ERR_FORMAT, HEAD + 4 * i);
  }
}

/* What was saved comes back to the bit, into a context that held something else. */
TEST(snapshots_come_back)
{
  unsigned char whole[SIZE], again[SIZE], *exact = (unsigned char *)malloc(SIZE);
  float x[D] = {1, 1}, y, back;
  icl_report r;
  fill();
  CHECK_EQ(icl_ctx_save(context, whole, SIZE), ICL_OK);
  CHECK_EQ(icl_predict(context, x, &y), ICL_OK);
  memcpy(exact, whole, SIZE);
  CHECK_EQ(icl_ctx_scale(context, NULL, NULL, 0, 1), ICL_OK);
  CHECK_EQ(icl_forget(context, 2), ICL_OK);
  CHECK_EQ(icl_ctx_restore(context, exact, SIZE, &r), ICL_OK);
  CHECK_EQ(r.code, ICL_OK);
  CHECK_EQ(icl_ctx_save(context, again, SIZE), ICL_OK);
  CHECK(!memcmp(whole, again, SIZE));
  CHECK_EQ(icl_predict(context, x, &back), ICL_OK);
  CHECK(!memcmp(&y, &back, 4));
  icl__put_le(exact + HEAD + 4 * (2 * D + 2), 0x7f000000u, 4);         /* an x of 1.7e38, and std 1e-38 */
  icl__put_le(exact + HEAD + 4 * D, 0x00800000u, 4);
  put_digest(exact, SIZE);
  CHECK_EQ(icl_ctx_restore(context, exact, SIZE, &r), ICL_ERR_NONFINITE);
  CHECK_STR(r.text, "the saved pairs overflow in this model");
  CHECK(r.offset == 0 && icl_count(context) == 0);
  free(exact);
}

/* Bytes of a digest may look like NaN. */
TEST(digests_that_are_no_numbers)
{
  unsigned char whole[SIZE];
  static const float x[D] = {1, 2};
  icl_report r;
  int i, found = 0;
  for (i = 0; i < 3000 && found < 2; i++) {
    CHECK_EQ(icl_rewind(context, 0), ICL_OK);
    CHECK_EQ(icl_ctx_scale(context, NULL, NULL, 0, 1), ICL_OK);
    CHECK_EQ(icl_add(context, x, (float)i / 512), ICL_OK);
    CHECK_EQ(icl_ctx_save(context, whole, sizeof whole), ICL_OK);
    if ((icl__get32(whole + icl_ctx_save_bytes(context) - 8) >> 23 & 255) != 255) continue;
    found++;
    CHECK_EQ(icl_ctx_restore(context, whole, icl_ctx_save_bytes(context), &r), ICL_OK);
  }
  CHECK_EQ(found, 2);
}

int main(void)
{
  begin();
  RUN(floats); RUN(texts_that_are_no_floats); RUN(the_last_digit_that_counts); RUN(whole_numbers); RUN(hexadecimal_digits); RUN(typical_surprise);
  RUN(levels_of_quantiles); RUN(numbers_in_texts); RUN(types_of_numbers); RUN(starts_and_ends);
  RUN(utf8); RUN(strings_and_escapes); RUN(names); RUN(names_with_unknown_prefixes); RUN(sizes_of_tensors);
  RUN(offsets_that_go_backwards); RUN(ranges_in_any_order); RUN(tensors_in_any_order);
  RUN(lengths_of_headers); RUN(lengths_of_data); RUN(digests); RUN(digests_of_configurations);
  RUN(a_snapshot_byte_by_byte); RUN(snapshots_that_are_refused); RUN(snapshots_come_back);
  RUN(digests_that_are_no_numbers);
  icl_ctx_delete(context);
  free_blocks();
  return test_report("parts");
}
