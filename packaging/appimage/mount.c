/* Serving the payload over FUSE, from a process that lives as long as anybody holds the other end of a pipe.
 *
 * As root, or with a fusermount3 on the host, the mount is an ordinary one. Without either it is made in a user and mount
 * namespace of our own, which the program then runs in; it needs nothing but /dev/fuse.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 32
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <squashfuse/ll.h>

#include "read.h"

/* After this many bytes read, the kernel may forget its cache of the image: what was read lies in the cache of the
 * mounted files as well, and a model of gigabytes shouldn't lie there twice. */
#define FORGET_EVERY ((size_t)64 << 20)

static struct fuse_session *session;
static int held;
static int image_file = -1;
static size_t unforgotten;

static void *wait_for_release(void *unused) {
    char byte;
    (void)unused;
    while (read(held, &byte, 1) > 0 || errno == EINTR) {
        errno = 0;
    }
    fuse_session_exit(session);
    kill(getpid(), SIGTERM); /* wakes the loop out of its read */
    return NULL;
}

static void on_signal(int number) {
    (void)number;
    if (session != NULL) fuse_session_exit(session);
}

static void op_read(fuse_req_t request, fuse_ino_t inode, size_t count, off_t offset, struct fuse_file_info *info) {
    read_file(request, inode, count, offset, info);
    unforgotten += count;
    if (unforgotten >= FORGET_EVERY) {
        unforgotten = 0;
        posix_fadvise(image_file, 0, 0, POSIX_FADV_DONTNEED);
    }
}

static void op_init(void *filesystem, struct fuse_conn_info *connection) {
    (void)filesystem;
    connection->want |= connection->capable & (FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

static void set_operations(struct fuse_lowlevel_ops *operations) {
    memset(operations, 0, sizeof *operations);
    operations->init = op_init;
    operations->getattr = sqfs_ll_op_getattr;
    operations->opendir = sqfs_ll_op_opendir;
    operations->releasedir = sqfs_ll_op_releasedir;
    operations->readdir = sqfs_ll_op_readdir;
    operations->lookup = sqfs_ll_op_lookup;
    operations->open = sqfs_ll_op_open;
    operations->release = sqfs_ll_op_release;
    operations->read = op_read;
    operations->readlink = sqfs_ll_op_readlink;
    operations->listxattr = sqfs_ll_op_listxattr;
    operations->getxattr = sqfs_ll_op_getxattr;
    operations->forget = sqfs_ll_op_forget;
    operations->statfs = stfs_ll_op_statfs;
}

static int serve(const char *image, off_t offset, const char *point, int ready) {
    struct fuse_lowlevel_ops operations;
    set_operations(&operations);
    if (!has_sound_superblock(image, offset)) return 1;
    sqfs_ll *filesystem = sqfs_ll_open(image, (size_t)offset);
    if (filesystem == NULL) return 1;
    image_file = filesystem->fs.fd;
    char *arguments[] = {"appimage", "-o", "ro,nodev,nosuid,subtype=AppImage", NULL};
    struct fuse_args parsed = FUSE_ARGS_INIT(3, arguments);
    sqfs_ll_chan channel;
    if (sqfs_ll_mount(&channel, point, &parsed, &operations, sizeof operations, filesystem) != SQFS_OK) return 2;
    session = channel.session;

    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C is the program's; we go when it has gone */
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_release, NULL) != 0 || write(ready, "1", 1) != 1) {
        sqfs_ll_unmount(&channel, point);
        return 3;
    }
    close(ready);
    fuse_session_loop(session);
    sqfs_ll_unmount(&channel, point);
    rmdir(point);
    return 0;
}

static void silence(void) {
    int nothing = open("/dev/null", O_RDWR);
    if (nothing < 0) return;
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    if (getenv("APPIMAGE_DEBUG") == NULL) dup2(nothing, STDERR_FILENO);
    if (nothing > STDERR_FILENO) close(nothing);
}

static int start_server(const char *image, off_t offset, const char *point) {
    int ready[2], life[2];
    if (pipe(ready) != 0) return -1;
    if (pipe(life) != 0) {
        close(ready[0]);
        close(ready[1]);
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ready[0]);
        close(life[1]);
        held = life[0];
        setsid();
        silence();
        _exit(serve(image, offset, point, ready[1]));
    }
    close(ready[1]);
    close(life[0]);
    char byte;
    ssize_t count = -1;
    while (child > 0 && (count = read(ready[0], &byte, 1)) < 0 && errno == EINTR) {
    }
    close(ready[0]);
    if (count == 1) return life[1];
    if (child > 0) waitpid(child, NULL, 0);
    close(life[1]);
    return -1;
}

static int write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t count = write(file, text, strlen(text));
    close(file);
    return count == (ssize_t)strlen(text) ? 0 : -1;
}

/* Moves this process into a namespace where it may mount, as the same user. */
static int enter_namespace(void) {
    char map[64];
    uid_t user = getuid();
    gid_t group = getgid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return -1;
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", user, user);
    if (write_text("/proc/self/uid_map", map) != 0) return -1;
    snprintf(map, sizeof map, "%u %u 1", group, group);
    return write_text("/proc/self/gid_map", map);
}

int mount_image(const char *image, off_t offset, const char *point) {
    int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0) return -1;
    close(device);
    int life = start_server(image, offset, point);
    if (life < 0 && geteuid() != 0 && enter_namespace() == 0) life = start_server(image, offset, point);
    return life;
}
