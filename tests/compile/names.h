/* Macros that firmware, games and windows.h have defined before they include a library: single letters,
 * function-like min and max, words.  Those that the system's own headers would trip over come after these, in
 * the files that include this one. */

/* Arduino's and other cores' */
#undef abs
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define abs(x) ((x) > 0 ? (x) : -(x))
#define round(x) ((x) >= 0 ? (long)((x) + 0.5) : (long)((x) - 0.5))
#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
#define radians(deg) ((deg) * 0.0174532925)
#define degrees(rad) ((rad) * 57.2957795)
#define sq(x) ((x) * (x))
#define F(text) (text)
#define bit(b) (1UL << (b))
#define bitRead(value, bit) (((value) >> (bit)) & 1)
#define word(h, l) (((h) << 8) | (l))
#define lowByte(w) ((w) & 0xff)
#define B0 0
#define B1 1
#define B00 0
#define B01 1
#define B10 2
#define PI 3.14159265358979
#define TWO_PI 6.28318530717959
#define EULER 2.71828182845905
#define HIGH 1
#define LOW 0
#define INPUT 0
#define OUTPUT 1
#define DEFAULT 1
#define DEC 10
#define SERIAL 0
#define DISPLAY 1
#define interrupts()
#define F_CPU 16000000L

/* windows.h, X11 */
#define near
#define far
#define small char
#define hyper long
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define VOID void
#define TRUE 1
#define FALSE 0
#define ERROR 0
#define NO_ERROR 0
#define DELETE 0x10000
#define STRICT 1
#define interface struct
#define cdecl
#define pascal
#define Bool int
#define Status int
#define Success 0
#define None 0L
#define Always 2
#define DATA 1
#define CALLBACK

/* single letters, object-like, as pin maps, status registers, maths code and complex.h have them */
#define A 1
#define B 2
#define C 3
#define D 4
#define E 5
#define G 7
#define H 8
#define I 9
#define J 10
#define K 11
#define L 12
#define M 13
#define N 14
#define O 15
#define P 16
#define Q 17
#define R 18
#define S 19
#define T 20
#define U 21
#define V 22
#define W 23
#define X 24
#define Y 25
#define Z 26
#define _A 1
#define _B 2
#define _C 3
#define _D 4
#define _E 5
#define _F 6
#define _G 7
#define _H 8
#define _I 9
#define _L 10
#define _N 11
#define _P 12
#define _R 13
#define _S 14
#define _T 15
#define _U 16
#define _W 17
#define _X 18

/* words of embedded and game code */
#define log2(x) (((x) > 1) + 1)
#if !defined __cplusplus || defined NAMES_LATE       /* names of the C++ library's headers, which break before ours */
#define swap(a, b) (void)((a) = (b))
#define clamp(x, low, high) (x)
#define lerp(a, b, t) ((a) + (t) * ((b) - (a)))
#endif
#define SIZE 100
#define MAX 100
#define MIN 1
#define LEN 100
#define COUNT 100
#define EPS 1e-6
#define EPSILON 1e-6
#define ASSERT(condition)
#define assert_true(condition)
#define UNUSED(x) (void)(x)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN(x) (x)
#define BIT(b) (1UL << (b))
#define BLOCK 64
#define PAGE 4096
#define ROWS 8
#define COLS 8
#define WIDTH 320
#define HEIGHT 240
#define OK 0
#define FAIL 1
#define DEBUG 1
#define NDEBUG 1
#define VERSION "9"
#define TYPE int
#define FLOAT float
#define REAL float
#define LOAD(x) (x)
#define STORE(x) (x)
#define ADD(a, b) ((a) + (b))
#define MUL(a, b) ((a) * (b))
#define SET(x) (x)
