/* Unpacking the payload. Names come from the image and may be anything, so every folder on the way is looked at. */
#define _GNU_SOURCE
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <squashfuse/squashfuse.h>
#include <squashfuse/traverse.h>

#define COPY_BYTES (1 << 20)

static int refuse(int error) {
    errno = error;
    return -1;
}

/* Whether no part of a path is empty, `.` or `..`. */
static int is_plain(const char *path) {
    while (1) {
        size_t length = strcspn(path, "/");
        if (length == 0 || (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.')) return 0;
        if (path[length] == '\0') return 1;
        path += length + 1;
    }
}

static int make_folder(const char *path, mode_t mode) {
    struct stat status;
    if (mkdir(path, mode) == 0) return 0;
    if (errno != EEXIST || lstat(path, &status) != 0) return -1;
    return S_ISDIR(status.st_mode) ? 0 : refuse(ENOTDIR); /* a link could lead anywhere */
}

/* Makes the folders between `root_length` and the last part of `path`. */
static int make_parents(char *path, size_t root_length) {
    for (char *slash = path + root_length + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        int made = make_folder(path, 0755);
        *slash = '/';
        if (made != 0) return -1;
    }
    return 0;
}

static int write_all(int file, const char *data, size_t count) {
    while (count > 0) {
        ssize_t written = write(file, data, count);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return -1;
        data += written;
        count -= (size_t)written;
    }
    return 0;
}

static int put_file(sqfs *fs, sqfs_inode *inode, const char *path) {
    static char buffer[COPY_BYTES];
    if (unlink(path) != 0 && errno != ENOENT) return -1;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return -1;
    uint64_t size = inode->xtra.reg.file_size;
    int failed = 0;
    for (uint64_t done = 0; done < size && !failed;) {
        sqfs_off_t count = sizeof buffer;
        if (sqfs_read_range(fs, inode, (sqfs_off_t)done, &count, buffer) != SQFS_OK || count <= 0)
            failed = refuse(EIO);
        else
            failed = write_all(file, buffer, (size_t)count);
        done += (uint64_t)(count > 0 ? count : 0);
    }
    if (!failed) failed = fchmod(file, inode->base.mode & 0777);
    int error = errno;
    if (close(file) != 0 && !failed) return -1;
    errno = error;
    return failed;
}

static int put_link(sqfs *fs, sqfs_inode *inode, const char *path) {
    char target[PATH_MAX];
    size_t size = sizeof target;
    if (sqfs_readlink(fs, inode, target, &size) != SQFS_OK) return refuse(EIO);
    target[sizeof target - 1] = '\0';
    if (unlink(path) != 0 && errno != ENOENT) return -1;
    return symlink(target, path);
}

static int put_entry(sqfs *fs, sqfs_inode *inode, char *path, size_t root_length) {
    if (make_parents(path, root_length) != 0) return -1;
    if (S_ISDIR(inode->base.mode)) return make_folder(path, 0755);
    if (S_ISLNK(inode->base.mode)) return put_link(fs, inode, path);
    if (S_ISREG(inode->base.mode)) return put_file(fs, inode, path);
    return 0; /* devices and sockets have no place in an AppImage */
}

static int open_image(sqfs *fs, const char *image, off_t offset) {
    if (!has_sound_superblock(image, offset)) return refuse(EINVAL);
    int file = open(image, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    memset(fs, 0, sizeof *fs);
    if (sqfs_init(fs, file, (size_t)offset) != SQFS_OK) {
        close(file);
        return refuse(EINVAL);
    }
    return file;
}

static int walk(sqfs *fs, const char *folder, const char *pattern, int print, long *count) {
    sqfs_traverse walker;
    sqfs_err error = SQFS_OK;
    if (sqfs_traverse_open(&walker, fs, sqfs_inode_root(fs)) != SQFS_OK) return refuse(EIO);
    int failed = 0;
    while (!failed && sqfs_traverse_next(&walker, &error)) {
        char path[PATH_MAX];
        sqfs_inode inode;
        if (walker.dir_end) continue;
        if (pattern != NULL && fnmatch(pattern, walker.path, FNM_FILE_NAME | FNM_LEADING_DIR) != 0) continue;
        if (!is_plain(walker.path))
            failed = refuse(EILSEQ);
        else if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, walker.path) >= sizeof path)
            failed = refuse(ENAMETOOLONG);
        else if (!is_inside_block(walker.entry.inode) || sqfs_inode_get(fs, &inode, walker.entry.inode) != SQFS_OK)
            failed = refuse(EIO);
        else {
            failed = put_entry(fs, &inode, path, strlen(folder));
            if (!failed && print) puts(path);
            ++*count;
        }
    }
    if (!failed && error != SQFS_OK) failed = refuse(EIO);
    int kept = errno;
    sqfs_traverse_close(&walker);
    errno = kept;
    return failed;
}

long extract_image(const char *image, off_t offset, const char *folder, const char *pattern, int print) {
    sqfs fs;
    long count = 0;
    if (make_folder(folder, 0755) != 0) return -1;
    int file = open_image(&fs, image, offset);
    if (file < 0) return -1;
    int failed = walk(&fs, folder, pattern, print, &count);
    int kept = errno;
    sqfs_destroy(&fs);
    close(file);
    errno = kept;
    return failed ? -1 : count;
}

unsigned long long unpacked_bytes(const char *image, off_t offset) {
    sqfs fs;
    sqfs_traverse walker;
    sqfs_err error = SQFS_OK;
    unsigned long long total = 0;
    int file = open_image(&fs, image, offset);
    if (file < 0) return 0;
    if (sqfs_traverse_open(&walker, &fs, sqfs_inode_root(&fs)) == SQFS_OK) {
        while (sqfs_traverse_next(&walker, &error) && strlen(walker.path) < PATH_MAX) {
            sqfs_inode inode;
            if (walker.dir_end || !is_inside_block(walker.entry.inode) ||
                sqfs_inode_get(&fs, &inode, walker.entry.inode) != SQFS_OK) continue;
            if (S_ISREG(inode.base.mode)) total += inode.xtra.reg.file_size;
        }
        sqfs_traverse_close(&walker);
    }
    sqfs_destroy(&fs);
    close(file);
    return total;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk_state) {
    (void)status, (void)type, (void)walk_state;
    return remove(path);
}

void remove_tree(const char *folder) { nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); }
