/* The C interface of a custom operator.
 *
 * A custom_feature with `operator_lib_file: "lib.so"` and `operator_name: "NAME"` calls the
 * function NAME of that library once a row, or once an element of a sequence. The library becomes
 * part of the artifact. The function must be reentrant: requests run side by side.
 */
#ifndef RTCOMPILE_OPERATOR_H
#define RTCOMPILE_OPERATOR_H

#include <stdint.h>

typedef struct {
  const char *data; /* not terminated by a NUL */
  int64_t size;     /* in bytes; 0 where there is no value */
} rtcompile_text;

/* For a feature that is a number, or that has boundaries: write at most `capacity` numbers.
 *
 * `inputs`: the texts of the `count` inputs, in the order of the config. `parameters`: the
 * operator's own keys of the config as a JSON object, terminated by a NUL. Returns how many numbers
 * were written; 0 or less for no value, which takes the feature's default.
 */
typedef int64_t (*rtcompile_numbers)(const rtcompile_text *inputs, int64_t count,
                                     const char *parameters, double *numbers, int64_t capacity);

/* For a feature with hash_bucket_size, num_buckets or a vocabulary: write one text.
 *
 * It is split on the feature's separator into values. Returns its bytes, at most `capacity`
 * (4,096); 0 or less for no value.
 */
typedef int64_t (*rtcompile_texts)(const rtcompile_text *inputs, int64_t count,
                                   const char *parameters, char *text, int64_t capacity);

#endif
