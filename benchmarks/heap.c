/* Counts the bytes that malloc and its kin have given out, the most of them at once, and the sizes of blocks that
 * were asked for. Loaded before libc: cc -O2 -shared -fPIC -o heap.so heap.c && LD_PRELOAD=./heap.so python …
 * (memory_ort.py and memory_tflite.py do both). */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

enum { KEPT = 1 << 16 };
static long now, most, least, asked_for[KEPT], count_asked;

static void count(long bytes) {
    if (-least < bytes && bytes < least) return;
    long there = __atomic_add_fetch(&now, bytes, __ATOMIC_RELAXED);
    if (there > most) most = there;
}

static void *counted(void *block, size_t asked) {
    if (block) count((long)malloc_usable_size(block));
    if (count_asked < KEPT) asked_for[count_asked++] = (long)asked;
    return block;
}

void *malloc(size_t bytes) { return counted(__libc_malloc(bytes), bytes); }
void *calloc(size_t many, size_t bytes) { return counted(__libc_calloc(many, bytes), many * bytes); }
void *memalign(size_t alignment, size_t bytes) { return counted(__libc_memalign(alignment, bytes), bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }

void *realloc(void *old, size_t bytes) {
    long before = old ? (long)malloc_usable_size(old) : 0;
    void *block = __libc_realloc(old, bytes);
    if (block || !bytes) count((block ? (long)malloc_usable_size(block) : 0) - before);
    return block;
}

int posix_memalign(void **block, size_t alignment, size_t bytes) {
    *block = memalign(alignment, bytes);
    return *block ? 0 : ENOMEM;
}

void free(void *block) {
    if (block) count(-(long)malloc_usable_size(block));
    __libc_free(block);
}

long heap_now(void) { return now; }
long heap_most(void) { return most; }

/* From now on blocks of fewer bytes are not counted. */
void heap_least(long bytes) { least = bytes; }

/* The size of the n-th block that was asked for since the last reset; -1 behind the last of those that are kept. */
long heap_asked(long n) { return n < count_asked ? asked_for[n] : -1; }

void heap_reset(void) { most = now, count_asked = 0; }
