/*
 * Run a server example as a person would: start it on a free port, talk to it
 * over TCP, end it with SIGTERM, and see that it stops cleanly.
 *
 *     drive_example PROGRAM http|chat
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static pid_t server;

static void
give_up(const char *why)
{
    fprintf(stderr, "drive_example: %s\n", why);
    if (server > 0)
        kill(server, SIGKILL);
    exit(1);
}

static void
expect(bool good, const char *what)
{
    if (!good)
        give_up(what);
}

/* Start @program on a free port; returns what it prints. */
static FILE *
start(const char *program)
{
    int ends[2];
    expect(pipe(ends) == 0, "no pipe");
    server = fork();
    if (server == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(program, program, "0", (char *)NULL);
        _exit(127);
    }
    expect(server > 0, "cannot fork");
    close(ends[1]);
    return fdopen(ends[0], "r");
}

static int
read_port(FILE *output)
{
    char line[256] = "";
    const char *colon;
    expect(fgets(line, sizeof line, output) != NULL,
           "the server did not start");
    colon = strrchr(line, ':');
    expect(strstr(line, "listening on ") && colon, line);
    return atoi(colon + 1);
}

static int
connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    expect(connect(fd, (struct sockaddr *)&address, sizeof address) == 0,
           "cannot connect");
    return fd;
}

static void
say(int fd, const char *text)
{
    size_t count = strlen(text);
    expect(send(fd, text, count, MSG_NOSIGNAL) == (ssize_t)count,
           "cannot send");
}

/* Read until @text has been heard @times times. */
static void
hear(int fd, const char *text, int times)
{
    char heard[65536];
    size_t used = 0;
    for (int found = 0; found < times;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        expect(poll(&ready, 1, PATIENCE_MS) == 1, text);
        ssize_t n = recv(fd, heard + used, sizeof heard - 1 - used, 0);
        expect(n > 0, text);
        used += (size_t)n;
        heard[used] = '\0';
        found = 0;
        for (const char *at = heard; (at = strstr(at, text)); at++)
            found++;
    }
}

/* Keep-alive, pipelining, and a request in two pieces. */
static void
talk_http(int port)
{
    int fd = connect_to(port);
    say(fd, "GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(fd, "You asked for /one in 30 bytes\n", 1);
    say(fd, "GET /two HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n");
    hear(fd, "You asked for /two", 2);
    say(fd, "GET /three HT");
    say(fd, "TP/1.1\r\n\r\n");
    hear(fd, "HTTP/1.1 200 OK\r\n", 1);
    close(fd);
}

/* What one guest says, the others hear, and it does not. */
static void
talk_chat(int port)
{
    int ann = connect_to(port), bob = connect_to(port), eve;
    hear(ann, "welcome\n", 1);
    hear(bob, "welcome\n", 1);
    say(ann, "hi all\n");
    hear(bob, "> hi all\n", 1);
    say(bob, "hi ann\n");
    hear(ann, "> hi ann\n", 1);
    close(bob);
    eve = connect_to(port);
    hear(eve, "welcome\n", 1);
    say(eve, "anyone?\n");
    hear(ann, "> anyone?\n", 1);
    close(eve);
    close(ann);
}

static void
stop(FILE *output)
{
    struct pollfd said = {.fd = fileno(output), .events = POLLIN};
    char rest[512];
    int status = 0;
    kill(server, SIGTERM);
    expect(poll(&said, 1, PATIENCE_MS) == 1, "SIGTERM does not end the server");
    while (fgets(rest, sizeof rest, output))
        fputs(rest, stdout);
    expect(waitpid(server, &status, 0) == server, "the server is lost");
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "the server did not stop cleanly");
}

int
main(int argc, char **argv)
{
    FILE *output;
    int port;
    expect(argc == 3, "usage: drive_example PROGRAM http|chat");
    output = start(argv[1]);
    port = read_port(output);
    if (strcmp(argv[2], "http") == 0)
        talk_http(port);
    else
        talk_chat(port);
    stop(output);
    return 0;
}
