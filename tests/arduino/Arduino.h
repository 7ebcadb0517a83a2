/* What a sketch sees of an Arduino core, for tests: its macros, as cores define them, and as much of its
 * functions as the sketches use.  On a PC Serial prints, and main.cpp calls setup and loop.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_ARDUINO_H
#define TESTS_ARDUINO_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.1415926535897932384626433832795
#define HALF_PI 1.5707963267948966192313216916398
#define TWO_PI 6.283185307179586476925286766559
#define EULER 2.718281828459045235360287471352
#define HIGH 0x1
#define LOW 0x0
#define INPUT 0x0
#define OUTPUT 0x1
#define DEFAULT 1
#define DEC 10
#define HEX 16
#define A0 14
#define B0 0
#define B1 1
#define B11 3
#undef abs
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define abs(x) ((x) > 0 ? (x) : -(x))
#define round(x) ((x) >= 0 ? (long)((x) + 0.5) : (long)((x) - 0.5))
#define constrain(amt, low, high) ((amt) < (low) ? (low) : ((amt) > (high) ? (high) : (amt)))
#define radians(deg) ((deg) * 0.017453292519943295769236907684886)
#define degrees(rad) ((rad) * 57.295779513082320876798154814105)
#define sq(x) ((x) * (x))
#define lowByte(w) ((uint8_t)((w) & 0xff))
#define bit(b) (1UL << (b))
#define bitRead(value, bit) (((value) >> (bit)) & 0x01)
#define F(text) (text)
#define interrupts()
#define noInterrupts()
typedef uint8_t byte;
typedef unsigned int word;

struct Printer {
  void begin(unsigned long) {}
  void print(const char *text);
  void print(double v, int digits = 2);
  void println(const char *text);
};
extern Printer Serial;

int analogRead(int pin);
void analogReadResolution(int bits);
void delay(unsigned long milliseconds);
void setup();
void loop();

#endif
