/* The board that is a PC: main.c runs on it to say what numbers the others must print.
 * SPDX-License-Identifier: MIT */
#include "board.h"
#include <stdio.h>

unsigned char board_nvm[32 * 1024];

void board_print(const char *text) { fputs(text, stdout); }
unsigned long board_instructions(void) { return 0; }
void board_run_200000(void) { }
unsigned long board_stack_used(void) { return 0; }
