/*
 * nginx, as it is installed, with a configuration that answers every request
 * from memory and never closes a connection. It allocates and drops a pool for
 * each request, as we do; it also parses HTTP in full and writes a few more
 * headers, which we do not.
 */
#include "../server_peer.h"

#if defined(PEER_NGINX)
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char configuration[] =
    "daemon off; worker_processes %u; pid %s/pid; error_log stderr crit;\n"
    "events { worker_connections 16384; }\n"
    "http { access_log off; keepalive_timeout 1h;\n"
    "  keepalive_requests 1000000000;\n"
    "  client_body_temp_path %s/temp; proxy_temp_path %s/temp;\n"
    "  fastcgi_temp_path %s/temp; uwsgi_temp_path %s/temp;\n"
    "  scgi_temp_path %s/temp;\n"
    "  server { listen 127.0.0.1:%d; default_type text/plain;\n"
    "    location / { return 200 \"" SERVER_BODY_64 SERVER_BODY_64
    "\"; } } }\n";

/* A port that was free a moment ago: nginx cannot choose one itself. */
static int
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(fd, (struct sockaddr *)&address, sizeof address);
    getsockname(fd, (struct sockaddr *)&address, &bytes);
    close(fd);
    return ntohs(address.sin_port);
}

static bool
write_configuration(const char *folder, unsigned workers, int port)
{
    char path[64];
    snprintf(path, sizeof path, "%s/conf", folder);
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    fprintf(file, configuration, workers, folder, folder, folder, folder,
            folder, folder, port);
    return fclose(file) == 0;
}

static bool
answers(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool open = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return open;
}

/* nginx does not say when it listens: try until it does, or is gone. */
static bool
wait_for(pid_t nginx, int port)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    while (!answers(port)) {
        if (waitpid(nginx, NULL, WNOHANG) != 0)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static void
run_nginx(const char *folder)
{
    char path[64];
    snprintf(path, sizeof path, "%s/conf", folder);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execl(PEER_NGINX, "nginx", "-p", folder, "-c", path, "-e", "stderr",
          (char *)NULL);
    _exit(127);
}

static void
remove_folder(const char *folder)
{
    static const char *const entry[] = {"conf", "pid", "temp", ""};
    char path[64];
    for (size_t i = 0; i < sizeof entry / sizeof entry[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]);
        (void)!remove(path);
    }
}

/* This process stays nginx's parent: it ends nginx when it is told to, and
 * removes what it made. */
static void
stay(pid_t nginx)
{
    sigset_t end;
    int got;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGCHLD);
    sigwait(&end, &got);
    kill(nginx, SIGTERM);
    waitpid(nginx, NULL, 0);
}

static void
serve(const struct server_options *options)
{
    char folder[] = "/tmp/pxbench-nginx-XXXXXX";
    int port = free_port();
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGTERM);
    sigaddset(&mine, SIGCHLD);
    if (!mkdtemp(folder))
        return;
    pid_t nginx = -1;
    if (write_configuration(folder, options->loops, port))
        nginx = fork();
    if (nginx == 0)
        run_nginx(folder);
    sigprocmask(SIG_BLOCK, &mine, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (nginx > 0 && wait_for(nginx, port) &&
        write(options->port_fd, &port, sizeof port) == sizeof port)
        stay(nginx);
    remove_folder(folder);
    _exit(0);
}

const struct server_peer server_peer_nginx = {.end_signal = SIGTERM,
                                              .serve = serve};
#else
const struct server_peer server_peer_nginx = {
    .missing = "nginx was not found at build time"};
#endif
