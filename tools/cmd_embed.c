/* icl embed: a checkpoint as a C array.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* C and C++ keywords, alternative tokens included, that are no names. */
static const char keywords[] =
  " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t"
  " char32_t char8_t class compl concept const const_cast consteval constexpr constinit"
  " continue co_await co_return co_yield decltype default delete do double dynamic_cast else"
  " enum explicit export extern false float for friend goto if inline int long mutable"
  " namespace new noexcept not not_eq nullptr operator or or_eq private protected public"
  " register reinterpret_cast requires restrict return short signed sizeof static"
  " static_assert static_cast struct switch template this thread_local throw true try typedef"
  " typeid typename typeof typeof_unqual union unsigned using virtual void volatile wchar_t"
  " while xor xor_eq ";

/* What is wrong with a name for C and C++; NULL: nothing. */
static const char *fault_of_name(const char *name)
{
  char *word = join(" ", name), *both = join(word, " ");
  const int keyword = strstr(keywords, both) != NULL;
  const char *p;
  free(word);
  free(both);
  if (!*name) return "is empty";
  for (p = name; *p; p++)
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *p))
      return "is no C identifier";
  if (*name >= '0' && *name <= '9') return "is no C identifier: it begins with a digit";
  if (*name == '_' || strstr(name, "__")) return "is reserved in C or C++: no _ in front, no __";
  return keyword ? "is a keyword of C or C++" : NULL;
}

/* The file's name without folder and ending, made a C identifier that is not reserved: the array's
 * name.  "2 models-v1.0.safetensors" gives model_2_models_v1_0_model. */
static char *identifier(const char *path)
{
  const char *slash = strrchr(path, '/');
  const char *from = slash ? slash + 1 : path, *dot = strrchr(from, '.');
  const char *end = dot && dot > from ? dot : from + strlen(from);
  char *name = allocate(strlen(from) + sizeof "model_" + sizeof "_model", 1), *at = name;
  if (*from >= '0' && *from <= '9') at += sprintf(at, "model_");
  for (; from < end; from++) {
    const int plain = isalnum((unsigned char)*from) && (unsigned char)*from < 128;
    if (plain) *at++ = *from;
    else if (at > name && at[-1] != '_') *at++ = '_';
  }
  if (at > name && at[-1] == '_') at--;
  strcpy(at, at > name ? "_model" : "model");
  return name;
}

/* A union with 64-bit words aligns the bytes, in C99 and in C++ alike. */
static void write_array(FILE *out, const char *name, const char *source, const unsigned char *data,
                        size_t size)
{
  const char *slash = strrchr(source, '/');
  size_t i;
  fputs("/* ", out);
  for (source = slash ? slash + 1 : source; *source; source++)
    fputc((unsigned char)*source < ' ' ? '?' : *source, out);
  fprintf(out, ", by icl embed: for icl_inspect and icl_model_init. */\n"
          "#ifndef %s_H\n#define %s_H\n#include <stddef.h>\n#include <stdint.h>\n"
          "static const union { unsigned char bytes[%zu]; uint64_t align; } %s_data = {{",
          name, name, size, name);
  for (i = 0; i < size; i++) fprintf(out, "%s%u,", i % 24 ? "" : "\n", data[i]);
  fprintf(out, "\n}};\nstatic const unsigned char *const %s = %s_data.bytes;\n"
          "static const size_t %s_size = %zu;\n#endif\n", name, name, name, size);
}

static int run(int argc, char **argv)
{
  const char *path, *target = NULL, *name = NULL;
  int force = 0;
  const option table[] = {
    OPT_TEXT("-o", "FILE.h", &target, "where to write; otherwise standard output"),
    OPT_TEXT("--name", "NAME", &name, "of the array; otherwise from the file's name"),
    OPT_FLAG("--force", &force, FORCE_HELP),
    OPT_END
  };
  unsigned char *data;
  char *derived;
  size_t size;
  if (!parse_options(&cmd_embed, table, argc, argv, &path, 1)) usage_error(&cmd_embed, "no MODEL");
  if (name && fault_of_name(name))
    usage_error(&cmd_embed, "--name: '%s' %s", name, fault_of_name(name));
  if (target) protect_output(&cmd_embed, target, path, force);
  icl_unload(load_model(path));                            /* so that what is embedded loads */
  data = read_file(path, &size);
  if (!data) fail(path, "not a regular file");
  derived = identifier(path);
  if (target) {
    output out;
    open_output(&out, target);
    write_array(out.file, name ? name : derived, path, data, size);
    close_output(&out);
  } else {
    write_array(stdout, name ? name : derived, path, data, size);
  }
  free(derived);
  free(data);
  return EXIT_SUCCESS;
}

const command cmd_embed = {
  "embed", "a checkpoint as a C array", "MODEL [options]",
  "Writes a C header with the checkpoint's bytes as a const array, aligned so that icl.h uses its\n"
  "weights where they lie: in flash, without RAM of their own.  icl quantize makes them smaller.\n"
  "A compiler takes some 150 bytes of memory for each byte of the array: for models of many\n"
  "megabytes use the linker (ld -r -b binary) or .incbin.",
  run
};
