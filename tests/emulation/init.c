// /init of the machine that run-avx512 boots: runs /bin/program with the arguments in /arguments and the environment in
// /environment (both NUL-separated), sends what it prints to the host, then its exit status, and stops the machine.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { console_port = 0xe9, shutdown_port = 0x8900, list_bytes = 65536, list_entries = 512 };

// Port 0xe9 is Bochs's standard output: no serial line, whose emulated speed would cost seconds.
static void send(const char* bytes, size_t count)
{
    __asm__ volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(console_port) : "memory");
}

static void stop_machine(void)
{
    for (const char* s = "Shutdown"; *s; s++)
        outb(*s, shutdown_port);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static void mount_on(const char* folder, const char* type)
{
    mkdir(folder, 0755);
    if (mount(type, folder, type, 0, 0))
        perror(folder);
}

// Reads a NUL-separated file into storage and fills the null-terminated list of its strings.
static void read_list(const char* path, char storage[list_bytes], char* list[list_entries])
{
    size_t size = 0;
    int count = 0;
    int file = open(path, O_RDONLY);
    if (file >= 0) {
        ssize_t n;
        while ((n = read(file, storage + size, list_bytes - 1 - size)) > 0)
            size += n;
        close(file);
    }
    for (char* s = storage; s < storage + size && count < list_entries - 1; s += strlen(s) + 1)
        list[count++] = s;
    list[count] = NULL;
}

static void run_program(int output)
{
    static char argument_bytes[list_bytes], environment_bytes[list_bytes];
    static char *arguments[list_entries], *environment[list_entries];
    int input = open("/dev/null", O_RDONLY);
    if (input >= 0)
        dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    // Whatever else is open here must not stay so in the program.
    close_range(3, ~0U, 0);
    read_list("/arguments", argument_bytes, arguments);
    read_list("/environment", environment_bytes, environment);
    if (chdir("/guest"))
        perror("/guest");
    execve("/bin/program", arguments, environment);
    perror("/bin/program");
    _exit(127);
}

int main(void)
{
    static char buffer[65536];
    int output[2];
    if (iopl(3) || pipe(output)) {
        perror("init");
        return 1;
    }
    mount_on("/proc", "proc");
    mount_on("/sys", "sysfs");
    mount_on("/dev", "devtmpfs");
    mount_on("/dev/shm", "tmpfs");
    mount_on("/tmp", "tmpfs");

    static const char begin[] = "\n@@GUEST-OUTPUT\n";
    send(begin, sizeof begin - 1);
    pid_t program = fork();
    if (program == 0)
        run_program(output[1]);
    close(output[1]);
    for (ssize_t n; (n = read(output[0], buffer, sizeof buffer)) > 0;)
        send(buffer, n);

    int status = 125 << 8;
    waitpid(program, &status, 0);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    send(buffer, snprintf(buffer, sizeof buffer, "\n@@GUEST-EXIT %d\n", code));
    stop_machine();
}
