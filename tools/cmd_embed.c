/* icl embed: a checkpoint as a C array.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The file's name without folder and ending, made a C identifier: the array's name. */
static char *identifier(const char *path)
{
  const char *slash = strrchr(path, '/');
  char *name = join(slash ? slash + 1 : path, "_model"), *p;
  char *dot = strrchr(name, '.');
  if (dot) memcpy(dot, "_model", sizeof "_model");
  for (p = name; *p; p++) if (!isalnum((unsigned char)*p)) *p = '_';
  if (isdigit((unsigned char)name[0])) name[0] = '_';
  return name;
}

/* A union with 64-bit words aligns the bytes, in C99 and in C++ alike. */
static void write_array(FILE *out, const char *name, const char *source, const unsigned char *data,
                        size_t size)
{
  size_t i;
  fprintf(out, "/* %s, by icl embed: for icl_inspect and icl_model_init. */\n"
          "#include <stddef.h>\n#include <stdint.h>\n"
          "static const union { unsigned char bytes[%zu]; uint64_t align; } %s_data = {{",
          source, size, name);
  for (i = 0; i < size; i++) fprintf(out, "%s%u,", i % 24 ? "" : "\n", data[i]);
  fprintf(out, "\n}};\nstatic const unsigned char *const %s = %s_data.bytes;\n"
          "static const size_t %s_size = %zu;\n", name, name, name, size);
}

static int run(int argc, char **argv)
{
  const char *path, *target = NULL, *name = NULL;
  const option table[] = {
    OPT_TEXT("-o", "FILE.h", &target, "where to write; otherwise standard output"),
    OPT_TEXT("--name", "NAME", &name, "of the array; otherwise from the file's name"),
    OPT_END
  };
  unsigned char *data;
  size_t size;
  FILE *out = stdout;
  if (!parse_options(&cmd_embed, table, argc, argv, &path, 1)) usage_error(&cmd_embed, "no MODEL");
  icl_unload(load_model(path));                            /* so that what is embedded loads */
  data = read_file(path, &size);
  if (!data) fail(path, "not a regular file");
  if (target && !(out = fopen(target, "w"))) fail(target, "%s", strerror(errno));
  write_array(out, name ? name : identifier(path), path, data, size);
  if (target && (ferror(out) | fclose(out))) fail(target, "%s", strerror(errno));
  free(data);
  return EXIT_SUCCESS;
}

const command cmd_embed = {
  "embed", "a checkpoint as a C array", "MODEL",
  "Writes a C header with the checkpoint's bytes as a const array, aligned so that icl.h uses its\n"
  "weights where they lie: in flash, without RAM of their own.  icl quantize makes them smaller.",
  run
};
