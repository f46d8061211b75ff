/*
 * Does nothing, as process 1. Used twice: in the image of every pod's sandbox, where it holds the
 * pod's namespaces, and as process 1 of the node's own namespaces (node.sh). There the kernel ends
 * every process of the node when this one ends, so `scripts/cluster down` cannot leave one behind.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal_number) {
	(void)signal_number;
	_exit(0);
}

/* Process 1 inherits orphans; one that is never waited for stays a zombie and keeps its id. */
static void reap(int signal_number) {
	(void)signal_number;
	while (waitpid(-1, NULL, WNOHANG) > 0) {
	}
}

int main(void) {
	struct sigaction action = {.sa_handler = end};
	/* The kernel drops signals that process 1 has no handler for. */
	if (sigaction(SIGTERM, &action, NULL) || sigaction(SIGINT, &action, NULL)) return 1;
	action = (struct sigaction){.sa_handler = reap, .sa_flags = SA_NOCLDSTOP | SA_RESTART};
	if (sigaction(SIGCHLD, &action, NULL)) return 1;
	for (;;) pause();
}
