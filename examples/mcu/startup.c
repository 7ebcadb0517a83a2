/* Cortex-M under QEMU: vectors, start, and the board's functions by way of semihosting and SysTick.
 * SPDX-License-Identifier: MIT */
#include "board.h"
#include <stdint.h>

/* From link.ld. */
extern uint32_t link_stack_bottom[], link_stack_top[], link_data_from[], link_data[],
  link_data_end[], link_bss[], link_bss_end[];
int main(void);

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define CPACR     REGISTER(0xe000ed88)   /* access to the FPU and MVE                            */
#define TICK_CTRL REGISTER(0xe000e010)
#define TICK_TOP  REGISTER(0xe000e014)
#define TICK_NOW  REGISTER(0xe000e018)   /* counts down, 24 bits                                 */

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, PAINT = 0x5afe5afe };

unsigned char board_nvm[32 * 1024] __attribute__((section(".nvm"), aligned(8)));
static volatile uint32_t wraps;

static void semihost(uint32_t operation, const void *argument)
{
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void board_print(const char *text) { semihost(SYS_WRITE0, text); }

static void leave(int code)
{
  uint32_t block[2] = {0x20026, 0};
  block[1] = (uint32_t)code;
  for (;;) semihost(SYS_EXIT_EXTENDED, block);
}

/* Under -icount shift=5 an instruction takes 32 ns of the board's time, and a tick TICK_PS / 1000.
 * These are instructions, not cycles: QEMU knows nothing of pipelines and caches. */
unsigned long board_instructions(void)
{
  uint32_t high, low;
  do { high = wraps; low = 0xffffffu - TICK_NOW; } while (high != wraps);
  return (unsigned long)(((uint64_t)high << 24 | low) * (TICK_PS / 250) / 128);
}

/* Two instructions a round. */
void board_run_200000(void)
{
  uint32_t n = 100000;
  __asm__ volatile("1: subs %0, #1\n bne 1b" : "+l"(n) : : "cc");
}

/* The lowest word that is not as start() painted it. */
unsigned long board_stack_used(void)
{
  const uint32_t *p = link_stack_bottom;
  while (*p == PAINT) p++;
  return (unsigned long)((uintptr_t)link_stack_top - (uintptr_t)p);
}

void start(void);
void start(void)
{
  uint32_t *p, *from = link_data_from;
  for (p = link_stack_bottom; p < (uint32_t *)__builtin_frame_address(0) - 8; p++) *p = PAINT;
#ifdef __ARM_FP
  CPACR |= 0xfu << 20;
  __asm__ volatile("dsb\n isb");
#endif
  for (p = link_data; p < link_data_end; p++) *p = *from++;
  for (p = link_bss; p < link_bss_end; p++) *p = 0;
  TICK_TOP = 0xffffff;
  TICK_NOW = 0;
  TICK_CTRL = 7;                                       /* the processor's clock, with interrupts */
  leave(main());
}

static void tick(void) { wraps++; }

static void fault(void)
{
  board_print("fault\n");
  leave(99);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
  (void (*)(void))(uintptr_t)link_stack_top, start, fault, fault, fault, fault, fault, fault, 0, 0,
  0, fault, fault, 0, fault, tick
};
