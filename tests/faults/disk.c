/* A shim between a process and its C library (LD_PRELOAD): it counts the calls that change files under one directory,
 * and at the chosen one kills the process, or has the disk fail.
 *
 * A process is armed by fault_arm(), or by its environment when it starts:
 *   TP_FAULT_ROOT   the directory
 *   TP_FAULT_AT     the number of the call, from 1; 0 only counts
 *   TP_FAULT_ERRNO  the error to give from that call on; 0 kills instead
 *   TP_FAULT_LOG    a file that gets a line for each call
 *   TP_FAULT_ONCE   a file that the first process to reach its call makes; the others are spared
 *   TP_FAULT_HIDE   seconds for which what others have made stays invisible, as on NFS
 *   TP_FAULT_ONLY   a word that must stand in the command line
 * A forked child is not armed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char root[PATH_MAX], log_path[PATH_MAX], once_path[PATH_MAX];
static size_t root_length;
static pid_t armed;
static long at, count, hide;
static int error;

void fault_arm(const char *directory, long when, int with, const char *log, const char *once)
{
    snprintf(root, sizeof root, "%s", directory);
    root_length = strlen(root);
    snprintf(log_path, sizeof log_path, "%s", log ? log : "");
    snprintf(once_path, sizeof once_path, "%s", once ? once : "");
    at = when;
    error = with;
    count = 0;
    armed = getpid();
}

void fault_hide(const char *directory, long seconds)
{
    fault_arm(directory, 0, 0, NULL, NULL);
    hide = seconds;
}

__attribute__((constructor)) static void arm_from_environment(void)
{
    const char *directory = getenv("TP_FAULT_ROOT"), *only = getenv("TP_FAULT_ONLY");
    char line[65536];
    ssize_t size;
    int fd;
    if (!directory)
        return;
    fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
    size = syscall(SYS_read, fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    if (only && (size <= 0 || !memmem(line, size, only, strlen(only))))
        return;
    hide = getenv("TP_FAULT_HIDE") ? atol(getenv("TP_FAULT_HIDE")) : 0;
    fault_arm(directory, getenv("TP_FAULT_AT") ? atol(getenv("TP_FAULT_AT")) : 0,
              getenv("TP_FAULT_ERRNO") ? atoi(getenv("TP_FAULT_ERRNO")) : 0, getenv("TP_FAULT_LOG"),
              getenv("TP_FAULT_ONCE"));
}

static int concerns(const char *path)
{
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* Note the call, and give the error that it shall fail with. */
static int reached(const char *call, const char *path)
{
    char line[PATH_MAX + 64];
    int fd, length;
    long number;
    if (armed != getpid() || !concerns(path))
        return 0;
    number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    if (*log_path) {
        length = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path + root_length);
        fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
    if (!at || (error ? number < at : number != at))
        return 0;
    if (*once_path && number == at) {
        fd = syscall(SYS_openat, AT_FDCWD, once_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0) {
            at = 0;
            return 0;
        }
        syscall(SYS_close, fd);
    }
    if (!error) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;)
            pause();
    }
    return error;
}

static int at_path(const char *call, int directory, const char *path)
{
    char whole[2 * PATH_MAX], link[64];
    ssize_t size;
    if (armed != getpid())
        return 0;
    if (*path == '/')
        return reached(call, path);
    if (directory == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    size = readlink(link, whole, PATH_MAX - 1);
    if (size < 0)
        return 0;
    snprintf(whole + size, PATH_MAX, "/%s", path);
    return reached(call, whole);
}

static int at_fd(const char *call, int fd)
{
    char path[PATH_MAX], link[64];
    ssize_t size;
    if (armed != getpid())
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return reached(call, path);
}

/* Whether somebody else made this a moment ago, so that a distant machine would not see it yet. */
static int unseen(const char *path)
{
    struct stat status;
    struct timespec now;
    if (!hide || armed != getpid() || *path != '/' || !concerns(path) || !(strstr(path, "/results/") || strstr(path, "/ended")))
        return 0;
    if (syscall(SYS_newfstatat, AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) || !S_ISREG(status.st_mode))
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    /* A mark may show before the result that it speaks of. */
    return now.tv_sec - status.st_ctim.tv_sec < (strstr(path, "/ended") ? hide / 2 : hide);
}

#define NEXT(name) \
    static __typeof__(name) *next; \
    if (!next) \
        next = (__typeof__(next))dlsym(RTLD_NEXT, #name)
#define FAIL_IF(expression) \
    do { \
        int failure = (expression); \
        if (failure) { \
            errno = failure; \
            return -1; \
        } \
    } while (0)

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        va_list rest; \
        mode_t mode = 0; \
        NEXT(name); \
        va_start(rest, flags); \
        if (flags & (O_CREAT | O_TMPFILE)) \
            mode = va_arg(rest, mode_t); \
        va_end(rest); \
        if (flags & (O_CREAT | O_TRUNC)) \
            FAIL_IF(at_path("open", AT_FDCWD, path)); \
        else if (unseen(path)) \
            FAIL_IF(ENOENT); \
        return next(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int directory, const char *path, int flags, ...) \
    { \
        va_list rest; \
        mode_t mode = 0; \
        NEXT(name); \
        va_start(rest, flags); \
        if (flags & (O_CREAT | O_TMPFILE)) \
            mode = va_arg(rest, mode_t); \
        va_end(rest); \
        if (flags & (O_CREAT | O_TRUNC)) \
            FAIL_IF(at_path("open", directory, path)); \
        else if (unseen(path)) \
            FAIL_IF(ENOENT); \
        return next(directory, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size)
{
    NEXT(write);
    FAIL_IF(at_fd("write", fd));
    return next(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    NEXT(pwrite);
    FAIL_IF(at_fd("pwrite", fd));
    return next(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    NEXT(pwrite64);
    FAIL_IF(at_fd("pwrite", fd));
    return next(fd, data, size, offset);
}

int ftruncate(int fd, off_t size)
{
    NEXT(ftruncate);
    FAIL_IF(at_fd("ftruncate", fd));
    return next(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    NEXT(ftruncate64);
    FAIL_IF(at_fd("ftruncate", fd));
    return next(fd, size);
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    FAIL_IF(at_path("rename", AT_FDCWD, to));
    return next(from, to);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    NEXT(renameat);
    FAIL_IF(at_path("rename", to_directory, to));
    return next(from_directory, from, to_directory, to);
}

int unlink(const char *path)
{
    NEXT(unlink);
    FAIL_IF(at_path("unlink", AT_FDCWD, path));
    return next(path);
}

int unlinkat(int directory, const char *path, int flags)
{
    NEXT(unlinkat);
    FAIL_IF(at_path("unlink", directory, path));
    return next(directory, path, flags);
}

int rmdir(const char *path)
{
    NEXT(rmdir);
    FAIL_IF(at_path("rmdir", AT_FDCWD, path));
    return next(path);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    FAIL_IF(at_path("mkdir", AT_FDCWD, path));
    return next(path, mode);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
    NEXT(mkdirat);
    FAIL_IF(at_path("mkdir", directory, path));
    return next(directory, path, mode);
}

int symlink(const char *target, const char *path)
{
    NEXT(symlink);
    FAIL_IF(at_path("symlink", AT_FDCWD, path));
    return next(target, path);
}

int symlinkat(const char *target, int directory, const char *path)
{
    NEXT(symlinkat);
    FAIL_IF(at_path("symlink", directory, path));
    return next(target, directory, path);
}

int fsync(int fd)
{
    NEXT(fsync);
    FAIL_IF(at_fd("fsync", fd));
    return next(fd);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    FAIL_IF(at_fd("fdatasync", fd));
    return next(fd);
}

int flock(int fd, int operation)
{
    NEXT(flock);
    if (!error)
        at_fd("flock", fd);
    return next(fd, operation);
}

struct dirent64 *readdir64(DIR *directory)
{
    char path[2 * PATH_MAX], link[64];
    ssize_t size;
    struct dirent64 *entry;
    NEXT(readdir64);
    while ((entry = next(directory)) && hide) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd(directory));
        size = readlink(link, path, PATH_MAX - 1);
        if (size < 0)
            break;
        snprintf(path + size, PATH_MAX, "/%s", entry->d_name);
        if (!unseen(path))
            break;
    }
    return entry;
}
