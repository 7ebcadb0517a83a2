/* The command icl: finds the subcommand and runs it.
 * SPDX-License-Identifier: MIT
 *
 * Build: make.  It is all of tools/?*.c and tools/paper/?*.c but embed_file.c; without the Makefile's
 * bundled models:
 * cc -std=c99 -O2 -I. -DICL_TRAIN_THREADS $(ls tools/?*.c tools/paper/?*.c | grep -v embed_file) \
 *   -lm -lpthread -o icl */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const command *const commands[] = {&cmd_predict, &cmd_check, &cmd_info, &cmd_train, &cmd_eval,
                                          &cmd_repro, &cmd_bench, &cmd_quantize, &cmd_embed,
                                          &cmd_tasks, &cmd_sample};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

/* A file opened while 0, 1 or 2 is closed would become standard input or output, and talk would end
 * up in a checkpoint.  So these are occupied, the wrong way round: using them still fails. */
static void occupy_standard_files(void)
{
  int fd;
  do {
    fd = open("/dev/null", O_RDONLY);
    if (fd == STDIN_FILENO) {
      close(fd);
      fd = open("/dev/null", O_WRONLY);
    }
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) close(fd);
}

static void print_summary(void)
{
  size_t i;
  printf("usage: icl COMMAND [...]\n\n"
         "Transformers that learn functions in context, from a few (x, y) pairs.\n\n");
  for (i = 0; i < N_COMMANDS; i++)
    printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
  printf("\nicl COMMAND --help or icl help COMMAND tells more; icl --version prints %s.\n",
         icl_version());
}

static int usage(const char *problem, const char *what)
{
  fprintf(stderr, "icl: %s%s (icl --help lists the commands)\n", problem, what);
  return EXIT_USAGE;
}

static const command *find_command(const char *name)
{
  size_t i;
  for (i = 0; i < N_COMMANDS; i++) if (!strcmp(name, commands[i]->name)) return commands[i];
  return NULL;
}

static int no_such_command(const char *typed)
{
  const char *names[N_COMMANDS], *meant;
  int i;
  for (i = 0; i < N_COMMANDS; i++) names[i] = commands[i]->name;
  meant = nearest_name(typed, names, N_COMMANDS);
  if (!meant) return usage("no such command: ", typed);
  fprintf(stderr, "icl: no such command: %s; perhaps %s (icl --help lists the commands)\n", typed,
          meant);
  return EXIT_USAGE;
}

/* "help" is the summary, "help train" is "train --help". */
static int help(int argc, char **argv)
{
  char flag[] = "--help";
  char *line[3] = {NULL, flag, NULL};
  const command *cmd = argc > 2 ? find_command(argv[2]) : NULL;
  if (argc > 3) return usage("help is for one command: ", argv[3]);
  if (argc > 2 && !cmd) return no_such_command(argv[2]);
  if (!cmd) {
    print_summary();
    return EXIT_SUCCESS;
  }
  line[0] = argv[2];
  return cmd->run(2, line);
}

static int dispatch(int argc, char **argv)
{
  const command *cmd;
  if (argc < 2) return usage("no command", "");
  cmd = find_command(argv[1]);
  if (cmd) return cmd->run(argc - 1, argv + 1);
  if (!strcmp(argv[1], "help")) return help(argc, argv);
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) print_summary();
  else if (!strcmp(argv[1], "--version")) printf("icl %s\n", icl_version());
  else return no_such_command(argv[1]);
  return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
  int status;
  occupy_standard_files();
#ifdef SIGPIPE
  signal(SIGPIPE, SIG_IGN);        /* a closed pipe is then a write error like any other, */
#endif
#ifdef SIGXFSZ
  signal(SIGXFSZ, SIG_IGN);        /* and so is a file that grows beyond ulimit -f */
#endif
  status = dispatch(argc, argv);
  flush_output();
  if (!fclose(stdout)) return status;
  fprintf(stderr, "icl: standard output: %s\n", strerror(errno));
  return 1;
}
