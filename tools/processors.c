/* How many processors this process may use, and what they are called.
 * SPDX-License-Identifier: MIT */
#if defined __linux__
#define _GNU_SOURCE                /* sched_getaffinity */
#include <sched.h>
#elif !defined __FreeBSD__ && !defined __DragonFly__   /* which would hide the number of processors */
#define _POSIX_C_SOURCE 200809L
#endif
#define _DARWIN_C_SOURCE           /* and on macOS and NetBSD these show it                        */
#define _NETBSD_SOURCE
#include "common.h"

#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <unistd.h>
#endif

#if defined __linux__
/* Processors that the affinity mask leaves (taskset, Slurm), 0: unknown. */
static long allowed(void)
{
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) ? 0 : CPU_COUNT(&set);
}

/* The quota of one folder of the cgroup tree, "max 100000" or "150000 100000" (version 2), rounded
 * up to processors; 0: none. */
static long quota_of(const char *folder)
{
  char path[1200], text[64] = "";
  double share, period;
  FILE *f;
  snprintf(path, sizeof path, "%s/cpu.max", folder);
  f = fopen(path, "r");
  if (!f) return 0;
  if (!fgets(text, sizeof text, f)) text[0] = 0;
  fclose(f);
  if (sscanf(text, "%lf %lf", &share, &period) != 2 || !(share > 0 && period > 0)) return 0;
  share /= period;
  return share > 1e6 ? 0 : (long)share + (share > (double)(long)share);
}

/* The least quota from this process's cgroup up to the root, which in a container is its own. */
static long quota(void)
{
  static const char root[] = "/sys/fs/cgroup";
  char line[1024] = "", folder[1100];
  FILE *f = fopen("/proc/self/cgroup", "r");
  long least = 0;
  char *slash;
  while (f && fgets(line, sizeof line, f) && strncmp(line, "0::", 3)) {}
  if (f) fclose(f);
  line[strcspn(line, "\n")] = 0;
  snprintf(folder, sizeof folder, "%s%s", root, !strncmp(line, "0::/", 4) ? line + 3 : "/");
  while (strlen(folder) >= sizeof root - 1) {
    const long n = quota_of(folder);
    if (n && (!least || n < least)) least = n;
    slash = strrchr(folder, '/');
    *slash = 0;
  }
  return least;
}
#else
static long allowed(void) { return 0; }
static long quota(void) { return 0; }
#endif

/* Processors of the machine. */
static long online(void)
{
#ifdef _WIN32
  const char *said = getenv("NUMBER_OF_PROCESSORS");
  return said ? strtol(said, NULL, 10) : 1;
#elif defined _SC_NPROCESSORS_ONLN
  return sysconf(_SC_NPROCESSORS_ONLN);
#else
  return 1;
#endif
}

int processors(int most)
{
  const long mask = allowed(), share = quota();
  long n = online();
  if (mask > 0 && mask < n) n = mask;
  if (share > 0 && share < n) n = share;
  return n < 1 ? 1 : n > most ? most : (int)n;
}

/* Linux: "model name : Intel(R) Xeon(R) Processor". */
const char *processor_name(char *name, size_t size)
{
  char line[256];
  FILE *f = fopen("/proc/cpuinfo", "r");
  snprintf(name, size, "unknown");
  while (f && fgets(line, sizeof line, f)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) || !colon) continue;
    line[strcspn(line, "\n")] = 0;
    snprintf(name, size, "%s", colon + 1 + strspn(colon + 1, " "));
    break;
  }
  if (f) fclose(f);
  return name;
}
