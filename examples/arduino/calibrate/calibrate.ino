// Calibrates a thermistor on A0 from eight readings at known temperatures: a transformer in flash turns
// counts into degrees, nothing is fitted, and no formula is chosen.
//
// Board: 32 bits, 220 KB of flash and 28 KB of RAM for this sketch: Nano 33 BLE, Portenta, SAMD51, RP2040,
// ESP32, Teensy.  sensors_model.h is examples/mcu/sensors.safetensors with I8 weights (make arduino); engine.cpp is
// the library.  Wiring: supply, 10 kOhm, A0, thermistor, ground.
// SPDX-License-Identifier: MIT
#include <icl.h>
#include "sensors_model.h"

// Counts of a 12-bit converter, and degrees Celsius of a good thermometer beside it, in any order.
static const float counts[] = {3171, 2764, 2314, 1868, 1464, 856, 648, 491};
static const float known[] = {0, 10, 20, 30, 40, 60, 70, 80};
enum { READINGS = 8 };

static unsigned char model_memory[2048], ctx_memory[24 * 1024];
static icl_model model;
static icl_ctx ctx;

static bool check(icl_error e) {
  if (e != ICL_OK) Serial.println(icl_error_string(e));
  return e == ICL_OK;
}

void setup() {
  icl_ctx_options options = {READINGS, 1, 0, ICL_STORE_F16, NULL, NULL};   // F16: half of the memory
  float surprise;
  Serial.begin(115200);
  analogReadResolution(12);
  if (!check(icl_model_init(&model, sensors_model, sensors_model_size, model_memory, sizeof model_memory,
                            NULL)) ||
      !check(icl_ctx_init_with(&ctx, &model, &options, ctx_memory, sizeof ctx_memory, NULL)) ||
      !check(icl_standardize(&ctx, READINGS, counts, known)) ||
      !check(icl_add_batch(&ctx, READINGS, counts, known))) return;
  if (icl_surprise(&ctx, &surprise) == ICL_OK && surprise > 1)
    Serial.println("These readings look like no sensor that the model knows.");
}

void loop() {
  float raw = analogRead(A0), celsius;
  if (icl_predict(&ctx, &raw, &celsius) == ICL_OK) {
    Serial.print(raw, 0);
    Serial.print(" counts: ");
    Serial.print(celsius, 1);
    Serial.println(" degrees");
  }
  delay(1000);
}
