/* The system calls of a program, counted, logged, and made to fail: for faults.py, crash.py and kill.py.
 * SPDX-License-Identifier: MIT
 *
 * cc -O1 -fPIC -shared -o shim.so shim.c -ldl, then LD_PRELOAD=shim.so with
 *   SHIM_LOG=FILE          appends a line "call result arguments" for each call; paths and the bytes that
 *                          are written in hexadecimal
 *   SHIM_FAULT=CALL:N:E    the N-th CALL (from 1; N+: and all later ones; "any": every call counts) fails
 *                          with errno E, a number; E "short" reads or writes one byte, "kill" is kill -9
 *                          before the call
 *   SHIM_CLOCK=SECONDS     time and clock_gettime are so much later; SHIM_CLOCK=jump: each reading of the
 *                          clock is a day before the one before it
 *   SHIM_LOCALE=1          setlocale(LC_ALL, ""), as a program with the header in it may have called
 *
 * A seccomp filter makes the kernel send SIGSYS instead of running a call; the handler decides.  So stdio's
 * and malloc's own calls are seen too, which no replacement of write() in a library would see.  Calls from
 * one address, the instruction in issue(), pass the filter.  Linux on x86-64; elsewhere the process ends
 * with status 77 at once, and the tests say "skipped". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { UNAVAILABLE = 77 };

#if defined __x86_64__ && defined __linux__

/* The arguments of a call: d number, p path, b buffer of which the result or the next number is the size. */
typedef struct call { int number; const char *name, *arguments; } call;

static const call calls[] = {
  {SYS_openat, "openat", "dpd"}, {SYS_open, "open", "pd"}, {SYS_read, "read", "d-d"},
  {SYS_pread64, "pread", "d-dd"}, {SYS_write, "write", "dbd"}, {SYS_pwrite64, "pwrite", "dbdd"},
  {SYS_writev, "writev", "d-d"}, {SYS_close, "close", "d"}, {SYS_fsync, "fsync", "d"},
  {SYS_fdatasync, "fdatasync", "d"}, {SYS_rename, "rename", "pp"}, {SYS_renameat2, "renameat2", "dpdpd"},
  {SYS_unlink, "unlink", "p"}, {SYS_unlinkat, "unlinkat", "dpd"}, {SYS_link, "link", "pp"},
  {SYS_mkdir, "mkdir", "pd"}, {SYS_fstat, "fstat", "d"}, {SYS_newfstatat, "newfstatat", "dp-d"},
  {SYS_statx, "statx", "dpdd"}, {SYS_lseek, "lseek", "ddd"}, {SYS_mmap, "mmap", "ddddd"},
  {SYS_mremap, "mremap", "ddd"}, {SYS_brk, "brk", "d"}, {SYS_ftruncate, "ftruncate", "dd"},
  {SYS_fchmod, "fchmod", "dd"}, {SYS_chmod, "chmod", "pd"}, {SYS_flock, "flock", "dd"},
  {SYS_fcntl, "fcntl", "ddd"}, {SYS_ioctl, "ioctl", "dd"}, {SYS_readlink, "readlink", "p"},
  {SYS_access, "access", "pd"}, {SYS_faccessat, "faccessat", "dpd"}, {SYS_faccessat2, "faccessat2", "dpdd"},
  {SYS_getdents64, "getdents64", "d"}, {SYS_getcwd, "getcwd", ""}, {SYS_getrandom, "getrandom", "-dd"},
  {SYS_uname, "uname", ""}, {SYS_sched_getaffinity, "sched_getaffinity", "dd"}, {SYS_dup, "dup", "d"},
};
enum { N_CALLS = sizeof calls / sizeof *calls, THREAD = N_CALLS, ANY, N_COUNTS, LONGEST_NAME = 24 };

static int log_fd = -1, fault_call = -1, fault_later, fault_errno, fault_short, fault_kill;
static long fault_at, counts[N_COUNTS];

/* The one system call instruction that the filter lets pass: at shim_passes - 2. */
__asm__(".text\n.globl shim_issue\n.type shim_issue, @function\nshim_issue:\n"
        "mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nmov %rcx, %rdx\nmov %r8, %r10\nmov %r9, %r8\n"
        "mov 8(%rsp), %r9\nsyscall\n.globl shim_passes\nshim_passes:\nret\n");
extern long shim_issue(long number, long a, long b, long c, long d, long e, long f)
  __attribute__((visibility("hidden")));
extern const char shim_passes[] __attribute__((visibility("hidden")));

/* ----- the log ------------------------------------------------------------------------------- */

static void put(const void *text, size_t n) { shim_issue(SYS_write, log_fd, (long)text, (long)n, 0, 0, 0); }

static void put_number(long v)
{
  char text[24];
  int at = sizeof text;
  unsigned long u = v < 0 ? 0ul - (unsigned long)v : (unsigned long)v;
  do text[--at] = (char)('0' + u % 10); while (u /= 10);
  if (v < 0) text[--at] = '-';
  text[--at] = ' ';
  put(text + at, sizeof text - (size_t)at);
}

static void put_hex(const unsigned char *data, size_t n)
{
  char text[1024];
  size_t i, at;
  put(" x", 2);
  for (i = 0; i < n; ) {
    for (at = 0; at < sizeof text && i < n; i++) {
      text[at++] = "0123456789abcdef"[data[i] >> 4];
      text[at++] = "0123456789abcdef"[data[i] & 15];
    }
    put(text, at);
  }
}

static void write_log(const call *c, long result, const long a[6])
{
  int i;
  if (log_fd < 0) return;
  put(c->name, strlen(c->name));
  put_number(result);
  for (i = 0; c->arguments[i]; i++)
    switch (c->arguments[i]) {
      case 'd': put_number(a[i]); break;
      case 'p': put_hex((const unsigned char *)a[i], a[i] ? strlen((const char *)a[i]) : 0); break;
      case 'b': put_hex((const unsigned char *)a[i], result > 0 ? (size_t)result : 0); break;
    }
  put("\n", 1);
}

/* ----- faults -------------------------------------------------------------------------------- */

/* 1 if this is the call that is to fail; counts it. */
static int is_struck(int which)
{
  long n = __atomic_add_fetch(&counts[which], 1, __ATOMIC_SEQ_CST);
  long all = __atomic_add_fetch(&counts[ANY], 1, __ATOMIC_SEQ_CST);
  if (fault_call == ANY) n = all;
  else if (fault_call != which) return 0;
  return n == fault_at || (fault_later && n > fault_at);
}

static int moves_bytes(int number)
{
  return number == SYS_read || number == SYS_write || number == SYS_pread64 || number == SYS_pwrite64;
}

static long strike(const call *c, long a[6])
{
  if (fault_kill) shim_issue(SYS_kill, getpid(), SIGKILL, 0, 0, 0, 0);
  if (c->number == SYS_brk) return shim_issue(SYS_brk, 0, 0, 0, 0, 0, 0);      /* says no like this */
  if (!fault_short) return -fault_errno;
  if (moves_bytes(c->number) && a[2] > 1) a[2] = 1;
  return shim_issue(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void on_call(int signal_number, siginfo_t *info, void *context)
{
  greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
  long a[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
  int i = 0;
  (void)signal_number;
  while (i < N_CALLS && calls[i].number != info->si_syscall) i++;
  if (i == N_CALLS) return;
  if (calls[i].number == SYS_close && a[0] == log_fd && log_fd >= 0) { r[REG_RAX] = -EBADF; return; }
  r[REG_RAX] = is_struck(i) ? strike(&calls[i], a)
                            : shim_issue(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
  write_log(&calls[i], (long)r[REG_RAX], a);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
  static const call c = {0, "pthread_create", ""};
  static const long none[6];
  int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  int struck = is_struck(THREAD), result = fault_errno;
  *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
  if (struck && fault_kill) shim_issue(SYS_kill, getpid(), SIGKILL, 0, 0, 0, 0);
  if (!struck || fault_short) result = create(thread, attr, start, arg);
  write_log(&c, -result, none);
  return result;
}

static void choose_fault(const char *text)
{
  char name[LONGEST_NAME + 1] = "", n[LONGEST_NAME + 1] = "", what[LONGEST_NAME + 1] = "";
  int i;
  if (sscanf(text, "%24[a-z_0-9]:%24[0-9+]:%24s", name, n, what) != 3) _exit(UNAVAILABLE);
  for (i = 0; i < N_CALLS; i++) if (!strcmp(calls[i].name, name)) fault_call = i;
  if (!strcmp(name, "pthread_create")) fault_call = THREAD;
  if (!strcmp(name, "any")) fault_call = ANY;
  fault_at = atol(n);
  fault_later = strchr(n, '+') != NULL;
  fault_short = !strcmp(what, "short");
  fault_kill = !strcmp(what, "kill");
  fault_errno = atoi(what);
  if (fault_call < 0 || fault_at < 1 || (!fault_short && !fault_kill && fault_errno < 1)) _exit(UNAVAILABLE);
}

/* ----- the filter ---------------------------------------------------------------------------- */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field)
#define IF_EQUAL(value, skip_if, skip_else) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, skip_if, skip_else)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

static void install(void)
{
  const uint64_t passes = (uint64_t)(uintptr_t)shim_passes;
  const struct sock_filter head[] = {
    LOAD(offsetof(struct seccomp_data, arch)), IF_EQUAL(AUDIT_ARCH_X86_64, 1, 0), RETURN(SECCOMP_RET_ALLOW),
    LOAD(offsetof(struct seccomp_data, instruction_pointer)), IF_EQUAL((uint32_t)passes, 0, 3),
    LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4), IF_EQUAL((uint32_t)(passes >> 32), 0, 1),
    RETURN(SECCOMP_RET_ALLOW), LOAD(offsetof(struct seccomp_data, nr))
  };
  enum { N_HEAD = sizeof head / sizeof *head };
  struct sock_filter filter[N_HEAD + 2 * N_CALLS + 1];
  struct sock_fprog program = {N_HEAD + 2 * N_CALLS + 1, filter};
  struct sigaction action;
  int i;
  memcpy(filter, head, sizeof head);
  for (i = 0; i < N_CALLS; i++) {
    const struct sock_filter one[2] = {IF_EQUAL((uint32_t)calls[i].number, 0, 1), RETURN(SECCOMP_RET_TRAP)};
    memcpy(filter + N_HEAD + 2 * i, one, sizeof one);
  }
  filter[N_HEAD + 2 * N_CALLS] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_call;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
      || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) _exit(UNAVAILABLE);
}
#else
static void choose_fault(const char *text) { (void)text; }
static void install(void) { _exit(UNAVAILABLE); }
static int log_fd;
#endif

/* ----- the clock ----------------------------------------------------------------------------- */

static long clock_offset, clock_step;

int clock_gettime(clockid_t clock, struct timespec *t)
{
  const long bad = syscall(SYS_clock_gettime, clock, t);
  if (!bad) t->tv_sec += clock_offset;
  clock_offset += clock_step;
  return (int)bad;
}

time_t time(time_t *out)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (out) *out = t.tv_sec;
  return t.tv_sec;
}

__attribute__((constructor)) static void begin(void)
{
  const char *log = getenv("SHIM_LOG"), *fault = getenv("SHIM_FAULT"), *clock = getenv("SHIM_CLOCK");
  int fd;
  if (getenv("SHIM_LOCALE") && (!setlocale(LC_ALL, "") || localeconv()->decimal_point[0] != ','))
    _exit(UNAVAILABLE);
  if (clock && !strcmp(clock, "jump")) clock_step = -86400;
  else if (clock) clock_offset = atol(clock);
  if (log) {
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    log_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 500);
    if (log_fd < 0) _exit(UNAVAILABLE);
    close(fd);
  }
  if (fault) choose_fault(fault);
  if (log || fault) install();
}
