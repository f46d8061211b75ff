/* frr-wait SECONDS SOCKET...: waits until every FRR daemon answers on its vty socket.
 *
 * A socket that exists, or even accepts, is not enough: the kernel accepts for a daemon that still
 * reads its configuration. So each daemon is sent a command, and its answer is awaited. One process
 * does it for all of them: a shell loop around vtysh costs 40 ms of CPU per daemon and turn, which is
 * what a lab's start is made of.
 *
 * Exit 0: all answered. 1: the time is over; the sockets still silent are named on stderr. 2: usage. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SOCKETS = 1024, RETRY_MS = 5 };

static long long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* A connection with the command sent, or -1 while the daemon does not listen yet. */
static int ask(const char *path) {
    /* Commands end with a NUL, which the size of the string literal counts. */
    static const char command[] = "show version";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        write(fd, command, sizeof command) == (ssize_t)sizeof command)
        return fd;
    close(fd);
    return -1;
}

int main(int argc, char **argv) {
    long long wait_ms = argc > 1 ? strtoll(argv[1], NULL, 10) * 1000 : 0;
    int count = argc - 2;
    if (wait_ms <= 0 || count < 0 || count > MAX_SOCKETS) {
        fprintf(stderr, "usage: frr-wait SECONDS SOCKET... (at most %d)\n", MAX_SOCKETS);
        return 2;
    }
    char **paths = argv + 2;
    static struct pollfd asked[MAX_SOCKETS]; /* fd -1: to be asked (poll skips it) */
    static int answered[MAX_SOCKETS];
    for (int i = 0; i < count; i++) asked[i] = (struct pollfd){.fd = -1, .events = POLLIN};

    int left = count;
    for (long long end = now_ms() + wait_ms; left > 0 && now_ms() < end;) {
        for (int i = 0; i < count; i++)
            if (!answered[i] && asked[i].fd < 0) asked[i].fd = ask(paths[i]);
        poll(asked, count, RETRY_MS);
        for (int i = 0; i < count; i++) {
            char byte;
            if (asked[i].fd < 0 || !asked[i].revents) continue;
            if (read(asked[i].fd, &byte, 1) == 1) answered[i] = 1, left--;
            close(asked[i].fd); /* answered, or hung up on: then it is asked again */
            asked[i].fd = -1;
        }
    }
    for (int i = 0; i < count; i++)
        if (!answered[i]) fprintf(stderr, "no answer on %s\n", paths[i]);
    return left > 0;
}
