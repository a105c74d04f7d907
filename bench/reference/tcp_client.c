/* The kernel's end of a bulk measurement: push or pull one connection's bytes for a while.
 *
 * Counts what the peer acknowledged (push) or what we read (pull), after a warm-up, so that the
 * number means the same whoever the peer is: tun_sink, the kernel over veth, or pystack. */
#include "common.h"

/* struct tcp_info of <linux/tcp.h>; the C library's own lacks tcpi_bytes_acked. */
static uint64_t bytes_acked(int fd)
{
    unsigned char info[256] = {0};
    uint64_t acked;
    socklen_t n = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &n) < 0)
        die("TCP_INFO");
    if (n < 128) {
        fprintf(stderr, "tcp_client: this kernel's TCP_INFO has no tcpi_bytes_acked\n");
        exit(1);
    }
    memcpy(&acked, info + 120, sizeof acked);
    return acked;
}

int main(int argc, char **argv)
{
    static const char text[] = "ADDRESS PORT --push|--pull [--seconds N] [--warmup N]";
    static const struct option known[] = {{"push", 0, 0, 'u'}, {"pull", 0, 0, 'l'},
                                          {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'w'},
                                          {0, 0, 0, 0}};
    static char buffer[CHUNK];
    double seconds = 2, warmup = 0.2, begin = 0, end = 0, start;
    uint64_t moved = 0, first = 0, last = 0;
    int push = -1, over = 0;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'u': push = 1; break;
        case 'l': push = 0; break;
        case 's': seconds = seconds_of(optarg); break;
        case 'w': warmup = seconds_of(optarg); break;
        default: usage(text);
        }
    }
    if (argc - optind != 2 || push < 0)
        usage(text);
    struct sockaddr_in to = address_of(argv[optind], argv[optind + 1]);
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    signal(SIGPIPE, SIG_IGN);
    end_after(seconds + warmup);
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0)
        die("cubic");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    memset(buffer, 'x', sizeof buffer);
    start = now_s();
    while (!over) {
        ssize_t n = push ? write(fd, buffer, sizeof buffer) : read(fd, buffer, sizeof buffer);
        double now = now_s();
        if (n < 0)
            die(push ? "write" : "read");
        if (n == 0) {
            fprintf(stderr, "tcp_client: the peer closed\n");
            return 1;
        }
        moved += (uint64_t)n;
        if (!begin && now - start >= warmup)
            begin = now, first = push ? bytes_acked(fd) : moved;
        over = begin && now - begin >= seconds;
        end = now;
    }
    last = push ? bytes_acked(fd) : moved;
    close(fd);
    printf("{\"bytes\": %llu, \"seconds\": %.6f, \"gbit\": %.4f}\n",
           (unsigned long long)(last - first), end - begin,
           (double)(last - first) * 8e-9 / (end - begin));
    return 0;
}
