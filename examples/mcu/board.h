/* What main.c needs of a board: startup.c has it for Cortex-M under QEMU, host.c for a PC.
 * SPDX-License-Identifier: MIT */
#ifndef BOARD_H
#define BOARD_H

/* Writes text where somebody sees it. */
void board_print(const char *text);

/* Instructions that were executed since the start; 0 where nobody counts. */
unsigned long board_instructions(void);

/* Runs 200000 instructions, to check the count by. */
void board_run_200000(void);

/* The most bytes of stack that were in use since the start; 0 where nobody knows. */
unsigned long board_stack_used(void);

/* Memory that keeps what is in it while the power is off. */
extern unsigned char board_nvm[32 * 1024];

#endif
