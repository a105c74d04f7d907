/* The kernel's own TCP as the other end of tcp_client: discard or generate, one connection. */
#include "common.h"

int main(int argc, char **argv)
{
    static const char text[] = "ADDRESS PORT --sink|--source [--seconds N]";
    static const struct option known[] = {{"sink", 0, 0, 'i'}, {"source", 0, 0, 'o'},
                                          {"seconds", 1, 0, 's'}, {0, 0, 0, 0}};
    static char buffer[CHUNK];
    double seconds = 10, begin;
    uint64_t moved = 0;
    int source = -1;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'i': source = 0; break;
        case 'o': source = 1; break;
        case 's': seconds = seconds_of(optarg); break;
        default: usage(text);
        }
    }
    if (argc - optind != 2 || source < 0)
        usage(text);
    signal(SIGPIPE, SIG_IGN);
    end_after(seconds);
    int listener = listen_on(address_of(argv[optind], argv[optind + 1]), 1, 0);
    say_ready();
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        die("accept");
    memset(buffer, 'x', sizeof buffer);
    begin = now_s();
    for (;;) {
        ssize_t n = source ? write(fd, buffer, sizeof buffer) : read(fd, buffer, sizeof buffer);
        if (n <= 0)
            break; /* the client decides when it is over, by close or reset */
        moved += (uint64_t)n;
    }
    double took = now_s() - begin;
    printf("{\"bytes\": %llu, \"seconds\": %.6f, \"gbit\": %.4f}\n", (unsigned long long)moved,
           took, (double)moved * 8e-9 / took);
    return moved ? 0 : 1;
}
