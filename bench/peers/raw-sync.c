/*
 * Appends each line of a file to another one and syncs it, round and round for some time: what a disk
 * can do without Node. Usage: raw-sync LINES OUT MILLISECONDS. Prints the nanoseconds that each took,
 * one a line; the first third is for warming up, and printed as negative numbers.
 */
#include <fcntl.h>
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

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s LINES OUT MILLISECONDS\n", argv[0]);
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

  long long measured_ns = atoll(argv[3]) * 1000000LL;
  long long start = now_ns();
  long long warm = start + measured_ns / 2;
  long long end = warm + measured_ns;
  const char *line = text;
  for (long long before = start; before < end;) {
    size_t bytes = (size_t)((const char *)memchr(line, '\n', length - (size_t)(line - text)) - line) + 1;
    long long began = now_ns();
    if (write(fd, line, bytes) != (ssize_t)bytes) fail("write");
    if (fdatasync(fd) != 0) fail("fdatasync");
    before = now_ns();
    printf("%lld\n", began < warm ? began - before : before - began);
    line = line + bytes == text + length ? text : line + bytes;
  }
  return close(fd) == 0 ? 0 : 1;
}
