/* Run the feature stage of a library over batches of encoded rows, each array in a block of its own,
 * so that valgrind sees every access outside of one.
 *
 *   driver LIBRARY BATCHES
 *
 * BATCHES is written by `batches.py`: int64 words, arrays as a size in bytes and as many bytes.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_WORDS = 8, PADDING = 16, ALIGNMENT = 64, DLTENSOR = 7, INT = 1 };

typedef struct {
  void *data;
  int32_t device[2];
  int32_t ndim;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t byte_offset;
} Tensor;

typedef struct {
  int32_t type;
  uint32_t unused;
  union {
    int64_t integer;
    void *pointer;
  } value;
} Any;

typedef int (*Function)(void *, const Any *, int32_t, Any *);

static FILE *file;

static int64_t word(void) {
  int64_t value;
  if (fread(&value, sizeof value, 1, file) != 1) exit(3);
  return value;
}

/* `size` bytes, not one more, from an aligned address. */
static void *block(int64_t size) {
  void *memory = NULL;
  if (posix_memalign(&memory, ALIGNMENT, size > 0 ? (size_t)size : 1)) exit(4);
  return memory;
}

static void *array(int64_t padding, int64_t *size) {
  *size = word();
  char *memory = block(*size + padding);
  if (fread(memory, 1, (size_t)*size, file) != (size_t)*size) exit(3);
  memset(memory + *size, 0, (size_t)padding);
  return memory;
}

static Any tensor(Tensor *out, int64_t *shape, void *data, int64_t count, uint8_t code, uint8_t bits) {
  *shape = count;
  *out = (Tensor){data, {1, 0}, 1, code, bits, 1, shape, NULL, 0};
  return (Any){DLTENSOR, 0, {.pointer = out}};
}

int main(int argc, char **argv) {
  if (argc != 3 || !(file = fopen(argv[2], "rb"))) return 2;
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) return fprintf(stderr, "%s\n", dlerror()), 2;
  Function stage = (Function)dlsym(library, "__tvm_ffi_features");
  if (!stage) return fprintf(stderr, "%s\n", dlerror()), 2;
  int64_t constant_bytes, workspace_bytes = word(), status_words = word();
  void *constants = array(0, &constant_bytes), *workspace = block(workspace_bytes);
  int64_t *status = block(status_words * 8), rows, total = 0;
  while ((rows = word()) >= 0) {
    int64_t columns = word(), unused;
    int64_t *words = block(columns * COLUMN_WORDS * 8);
    void **held = calloc((size_t)columns * 5, sizeof *held);
    for (int64_t c = 0; c < columns; ++c) {
      int64_t *descriptor = words + c * COLUMN_WORDS;
      int64_t split = word(), mode = word();
      for (int k = 0; k < 5; ++k) {
        int64_t padding = k == 3 ? PADDING : 0, absent = word();
        held[c * 5 + k] = absent ? NULL : array(padding, &unused);
        descriptor[k] = (int64_t)held[c * 5 + k];
      }
      descriptor[5] = split, descriptor[6] = mode, descriptor[7] = 0;
    }
    int64_t scratch_bytes = word(), outputs = word();
    int64_t *scratch = block(scratch_bytes), *table = block(outputs * 16);
    memset(scratch, 0, (size_t)scratch_bytes); /* words behind a text's end are loaded, and masked */
    scratch[0] = 64, scratch[1] = (int64_t)scratch;
    for (int64_t o = 0; o < outputs; ++o) {
      int64_t size = word(), row_bytes = word();
      table[2 * o] = (int64_t)block(size), table[2 * o + 1] = row_bytes;
    }
    memset(status, 0, (size_t)status_words * 8);
    Tensor tensors[6];
    int64_t shapes[6];
    Any result = {0, 0, {0}}, arguments[8] = {
      {INT, 0, {.integer = 0}}, {INT, 0, {.integer = rows}},
      tensor(&tensors[0], &shapes[0], constants, constant_bytes, 1, 8),
      tensor(&tensors[1], &shapes[1], workspace, workspace_bytes, 1, 8),
      tensor(&tensors[2], &shapes[2], status, status_words, 0, 64),
      tensor(&tensors[3], &shapes[3], words, columns * COLUMN_WORDS, 0, 64),
      tensor(&tensors[4], &shapes[4], scratch, scratch_bytes, 1, 8),
      tensor(&tensors[5], &shapes[5], table, outputs * 2, 0, 64)};
    if (stage(NULL, arguments, 8, &result)) return fprintf(stderr, "the stage failed\n"), 5;
    for (int64_t o = 0; o < outputs; ++o) free((void *)table[2 * o]);
    for (int64_t k = 0; k < columns * 5; ++k) free(held[k]);
    free(held), free(words), free(scratch), free(table);
    total += rows;
  }
  free(constants), free(workspace), free(status);
  fclose(file);
  dlclose(library);
  printf("%lld rows\n", (long long)total);
  return 0;
}
