/*
 * Appends each line of a file to another one and syncs it, round and round for some time: what a disk
 * can do without Node. Usage: raw-sync LINES OUT MILLISECONDS [handed]. Prints the nanoseconds that each
 * took, one per line; the first third is for warming up and printed as negative numbers. There is at least
 * one of the others, however slow the disk is.
 *
 * With `handed` a second thread does it, and the first one sleeps until it is done. The difference is the price
 * of waking two threads on this machine, in any language.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static char *read_all(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) fail(path);
  *length = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(*length);
  if (text == NULL || fread(text, 1, *length, file) != *length) fail(path);
  fclose(file);
  return text;
}

static void append(int fd, const char *line, size_t bytes) {
  if (write(fd, line, bytes) != (ssize_t)bytes) fail("write");
  if (fdatasync(fd) != 0) fail("fdatasync");
}

/* The hand-over from one thread to the other. It holds a line until that is durable. */
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  const char *line;
  size_t bytes;
  int fd;
} desk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *take_lines(void *unused) {
  (void)unused;
  pthread_mutex_lock(&desk.mutex);
  for (;;) {
    while (desk.line == NULL) pthread_cond_wait(&desk.changed, &desk.mutex);
    append(desk.fd, desk.line, desk.bytes);
    desk.line = NULL;
    pthread_cond_signal(&desk.changed);
  }
  return NULL;
}

static void hand_over(const char *line, size_t bytes) {
  pthread_mutex_lock(&desk.mutex);
  desk.line = line;
  desk.bytes = bytes;
  pthread_cond_signal(&desk.changed);
  while (desk.line != NULL) pthread_cond_wait(&desk.changed, &desk.mutex);
  pthread_mutex_unlock(&desk.mutex);
}

int main(int argc, char **argv) {
  int is_handed = argc == 5 && strcmp(argv[4], "handed") == 0;
  if (argc != 4 && !is_handed) {
    fprintf(stderr, "usage: %s LINES OUT MILLISECONDS [handed]\n", argv[0]);
    return 2;
  }
  size_t length;
  const char *text = read_all(argv[1], &length);
  if (length == 0 || text[length - 1] != '\n') {
    fprintf(stderr, "%s: expected whole lines\n", argv[1]);
    return 2;
  }
  int fd = open(argv[2], O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (fd < 0) fail(argv[2]);
  pthread_t taker;
  desk.fd = fd;
  if (is_handed && pthread_create(&taker, NULL, take_lines, NULL) != 0) fail("pthread_create");

  long long measured_ns = atoll(argv[3]) * 1000000LL;
  long long start = now_ns();
  long long warm = start + measured_ns / 2;
  long long end = warm + measured_ns;
  const char *line = text;
  int is_measured = 0;
  for (long long before = start; before < end || !is_measured;) {
    size_t bytes = (size_t)((const char *)memchr(line, '\n', length - (size_t)(line - text)) - line) + 1;
    long long began = now_ns();
    if (is_handed) hand_over(line, bytes);
    else append(fd, line, bytes);
    before = now_ns();
    is_measured = began >= warm;
    printf("%lld\n", is_measured ? before - began : began - before);
    line = line + bytes == text + length ? text : line + bytes;
  }
  return close(fd) == 0 ? 0 : 1;
}
