/* What every reference program needs: a clock, strict numbers, addresses, a result line. */
#ifndef PYSTACK_BENCH_COMMON_H
#define PYSTACK_BENCH_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

static void usage(const char *text)
{
    fprintf(stderr, "usage: %s %s\n", program_invocation_short_name, text);
    exit(2);
}

/* A positive number of seconds, or exit 2. */
static double seconds_of(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0) || value > 3600) {
        fprintf(stderr, "%s: bad number of seconds: %s\n", program_invocation_short_name, text);
        exit(2);
    }
    return value;
}

/* A whole number in [low, high], or exit 2. */
static long number_of(const char *text, long low, long high)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < low || value > high) {
        fprintf(stderr, "%s: bad number: %s\n", program_invocation_short_name, text);
        exit(2);
    }
    return value;
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        fprintf(stderr, "%s: bad IPv4 address: %s\n", program_invocation_short_name, host);
        exit(2);
    }
    a.sin_port = htons((uint16_t)number_of(port, 0, 65535));
    return a;
}

/* A program that outlives its run would spoil the next one: whatever happens, it ends. */
static void end_after(double seconds)
{
    alarm((unsigned)(seconds + 15));
}

/* The driver waits for this line before it starts the other end. */
static void say_ready(void)
{
    puts("ready");
    fflush(stdout);
}

/* `kind`: 0, or SOCK_NONBLOCK so that accept answers at once when nobody waits. */
static int listen_on(struct sockaddr_in a, int backlog, int kind)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | kind, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* bbr swings between 0.2 and 40 Gbit/s on a device without a queue; accepted sockets inherit. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0)
        die("cubic");
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("bind");
    if (listen(fd, backlog) < 0)
        die("listen");
    return fd;
}

#endif
