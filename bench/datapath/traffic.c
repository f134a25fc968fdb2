// SPDX-License-Identifier: Apache-2.0
/* The traffic of `npm run bench -- datapath`: one server and five clients, each of which prints one line of JSON.
 *
 *   traffic serve PORT
 *   traffic stream HOST PORT STREAMS MS    bytes that arrived at the other end
 *   traffic udp HOST PORT BYTES MS         datagrams that arrived at the other end, sent as fast as they go
 *   traffic rr HOST PORT MS                one byte there and back over one connection
 *   traffic crr HOST PORT MS               the same with a connection for each byte
 *
 * Figures are taken at the receiving end: what a sender has got rid of proves nothing. The way is to be measured and not
 * its ends, so streams are sent from pages and dropped unread (as iperf3 does it with --zerocopy and --skip-rx-copy): the
 * two copies would be half of every figure, and the same half for all.
 *
 * All of it runs on one CPU, so a figure says what one CPU carries from end to end. On two, a sender's packets and the
 * answers to them are handled on both, and the kernel's queues in between put them out of order: thousands of needless
 * retransmits a second, also from host to host.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum port { STREAM, ECHO, CONNECTION, DATAGRAMS_SEEN };
#define MOST_STREAMS 64
#define MOST_SAMPLES 2000000
#define BLOCK (128 * 1024)

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void run_on_one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("sched_setaffinity");
}

/* What else runs on the machine is not to be measured. Where this is not allowed, the machine must be quiet. Linux weighs
 * the processes of a session against each other and sessions as a whole (sched(7), autogroup), so both are said.
 */
static void go_first(void)
{
	FILE *group;

	setsid();
	setpriority(PRIO_PROCESS, 0, -19);
	group = fopen("/proc/self/autogroup", "w");
	if (group) {
		fputs("-19", group);
		fclose(group);
	}
}

static struct sockaddr_in address_of(const char *host, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (host && !inet_aton(host, &address.sin_addr))
		die(host);
	return address;
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int connected(const char *host, int port)
{
	struct sockaddr_in address = address_of(host, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die("connect");
	no_delay(fd);
	return fd;
}

static int bound(int type, int port)
{
	struct sockaddr_in address = address_of(NULL, port);
	int one = 1, fd = socket(AF_INET, type, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 1024))
		die("listen");
	return fd;
}

/* The server. */

static int first_port;
static atomic_ullong datagrams_seen;

static void in_background(void *(*work)(void *), long argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, (void *)argument))
		die("pthread_create");
	pthread_detach(thread);
}

/* Takes bytes to the end of the stream without looking at them, then says how many came. */
static void *take_stream(void *argument)
{
	int fd = (long)argument;
	uint64_t total = 0;
	ssize_t length;

	while ((length = recv(fd, NULL, BLOCK, MSG_TRUNC)) > 0)
		total += length;
	if (write(fd, &total, sizeof(total)) < 0)
		perror("write");
	close(fd);
	return NULL;
}

static void *echo(void *argument)
{
	int fd = (long)argument;
	char byte;

	no_delay(fd);
	while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
		;
	close(fd);
	return NULL;
}

static void *take_datagrams(void *argument)
{
	int size = 4 << 20, fd = bound(SOCK_DGRAM, first_port);
	static char block[65536];

	(void)argument;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	while (recv(fd, block, sizeof(block), 0) >= 0)
		datagrams_seen++;
	return NULL;
}

static void answer_one(int fd)
{
	char byte;

	if (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) != 1)
		perror("write");
	close(fd);
}

static void take(enum port which, int fd)
{
	uint64_t seen = datagrams_seen;

	switch (which) {
	case STREAM:
		in_background(take_stream, fd);
		return;
	case ECHO:
		in_background(echo, fd);
		return;
	case CONNECTION:
		answer_one(fd);
		return;
	case DATAGRAMS_SEEN:
		if (write(fd, &seen, sizeof(seen)) < 0)
			perror("write");
		close(fd);
	}
}

static void *listen_on(void *argument)
{
	enum port which = (long)argument;
	int fd, listener = bound(SOCK_STREAM, first_port + which);

	while ((fd = accept(listener, NULL, NULL)) >= 0)
		take(which, fd);
	die("accept");
	return NULL;
}

static int serve(int port)
{
	first_port = port;
	signal(SIGPIPE, SIG_IGN);
	in_background(take_datagrams, 0);
	for (long which = STREAM; which <= DATAGRAMS_SEEN; which++)
		in_background(listen_on, which);
	usleep(100000);
	puts("listening");
	fflush(stdout);
	pause();
	return 0;
}

/* The clients. */

static const char *host;
static int port;
static double end_us;

static uint64_t number_from(int fd)
{
	uint64_t number = 0;

	if (recv(fd, &number, sizeof(number), MSG_WAITALL) != sizeof(number))
		die("recv");
	return number;
}

struct sent {
	uint64_t bytes;
	uint32_t retransmits;
};

static void *send_stream(void *argument)
{
	struct sent *sent = argument;
	struct tcp_info info;
	socklen_t length = sizeof(info);
	int fd = connected(host, port + STREAM), pages = memfd_create("pages", 0);
	off_t from;

	if (pages < 0 || ftruncate(pages, BLOCK))
		die("memfd_create");
	while (now_us() < end_us) {
		from = 0;
		if (sendfile(fd, pages, &from, BLOCK) < 0)
			die("sendfile");
	}
	close(pages);
	shutdown(fd, SHUT_WR);
	sent->bytes = number_from(fd);
	if (!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length))
		sent->retransmits = info.tcpi_total_retrans;
	close(fd);
	return NULL;
}

static int stream(int streams, double ms)
{
	pthread_t threads[MOST_STREAMS];
	struct sent sent[MOST_STREAMS] = {};
	double bytes = 0, start_us = now_us();
	unsigned retransmits = 0;

	if (streams < 1 || streams > MOST_STREAMS)
		return 2;
	end_us = start_us + ms * 1e3;
	for (int i = 0; i < streams; i++)
		if (pthread_create(&threads[i], NULL, send_stream, &sent[i]))
			die("pthread_create");
	for (int i = 0; i < streams; i++) {
		pthread_join(threads[i], NULL);
		bytes += sent[i].bytes;
		retransmits += sent[i].retransmits;
	}
	printf("{\"gbps\":%.3f,\"retransmits\":%u}\n", bytes * 8 / (now_us() - start_us) / 1e3, retransmits);
	return 0;
}

static uint64_t ask_datagrams(void)
{
	int fd = connected(host, port + DATAGRAMS_SEEN);
	uint64_t seen = number_from(fd);

	close(fd);
	return seen;
}

static int udp(int bytes, double ms)
{
	struct sockaddr_in address = address_of(host, port);
	static char block[65536];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t sent = 0, before = ask_datagrams();
	double start_us = now_us(), lasted_us;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die("connect");
	while (now_us() < start_us + ms * 1e3)
		for (int i = 0; i < 16; i++)
			sent += send(fd, block, bytes, 0) == bytes;
	lasted_us = now_us() - start_us;
	usleep(20000);
	printf("{\"sent\":%llu,\"perSecond\":%.0f}\n", (unsigned long long)sent,
	       (ask_datagrams() - before) / lasted_us * 1e6);
	return 0;
}

static float samples_us[MOST_SAMPLES];

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

static int report(int count, double lasted_us)
{
	if (!count)
		return 1;
	qsort(samples_us, count, sizeof(float), ascending);
	printf("{\"perSecond\":%.0f,\"p50Us\":%.2f,\"p99Us\":%.2f}\n", count / lasted_us * 1e6, samples_us[count / 2],
	       samples_us[(int)(count * 0.99)]);
	return 0;
}

static void there_and_back(int fd)
{
	char byte = 1;

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		die("request");
}

static int requests(double ms, int one_connection)
{
	int fd = one_connection ? connected(host, port + ECHO) : -1, count = 0;
	double start_us = now_us(), last_us = start_us, at_us;

	while (last_us < start_us + ms * 1e3 && count < MOST_SAMPLES) {
		if (!one_connection)
			fd = connected(host, port + CONNECTION);
		there_and_back(fd);
		if (!one_connection)
			close(fd);
		at_us = now_us();
		samples_us[count++] = at_us - last_us;
		last_us = at_us;
	}
	return report(count, last_us - start_us);
}

int main(int count, char **words)
{
	const char *mode = count > 2 ? words[1] : "";

	go_first();
	run_on_one_cpu();

	if (!strcmp(mode, "serve"))
		return serve(atoi(words[2]));
	if (count < 5)
		return 2;
	host = words[2];
	port = atoi(words[3]);
	if (!strcmp(mode, "stream") && count == 6)
		return stream(atoi(words[4]), atof(words[5]));
	if (!strcmp(mode, "udp") && count == 6)
		return udp(atoi(words[4]), atof(words[5]));
	if (!strcmp(mode, "rr"))
		return requests(atof(words[4]), 1);
	if (!strcmp(mode, "crr"))
		return requests(atof(words[4]), 0);
	return 2;
}
