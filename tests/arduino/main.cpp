/* A core for a PC: Serial prints, analogRead gives recorded counts, loop runs once for each of them.
 * SPDX-License-Identifier: MIT */
#include "Arduino.h"
#ifdef __arm__                          /* where only sizes are asked for */
Printer Serial;
static volatile int sink;
void Printer::print(const char *text) { sink = text[0]; }
void Printer::print(double v, int digits) { sink = (int)v + digits; }
void Printer::println(const char *text) { sink = text[0]; }
int analogRead(int) { return sink; }
void analogReadResolution(int) {}
void delay(unsigned long) {}
int main() { setup(); for (;;) loop(); }
#else
#include <stdio.h>
Printer Serial;
static const int recorded[] = {2975, 2088, 1286, 745, 564};
static int at;
void Printer::print(const char *text) { fputs(text, stdout); }
void Printer::print(double v, int digits) { printf("%.*f", digits, v); }
void Printer::println(const char *text) { puts(text); }
int analogRead(int) { return recorded[at]; }
void analogReadResolution(int) {}
void delay(unsigned long) {}
int main() { for (setup(); at < 5; at++) loop(); return 0; }
#endif
