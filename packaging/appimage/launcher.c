/* The launcher of a bundle: AppRun, usr/bin/tea and usr/lib/tea/python3 are this one static program.
 *
 * It finds the bundle it lies in, and starts the bundle's Python by the bundle's own loader and C library, so nothing of
 * the host but its kernel is needed. As python3 it hands its arguments on; under any other name it runs `tea`. Python
 * takes usr/bin/python3 for its sys.executable, so children started by that name come through here too.
 *
 * APPDIR is set to where this lies, whatever it was: another AppImage may be the parent. Library paths are an argument
 * of the loader and no variable, so programs that an agent starts on the host see their own libraries.
 *
 * Knows nothing of mounts and squashfs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOADER "/usr/lib/tea/base/ld.so"
#define LIBRARIES "/usr/lib/tea/base"
#define INTERPRETER "/usr/lib/tea/base/python3"
#define EXECUTABLE "/usr/lib/tea/python3"
#define MODULE "the_edge_agent.cli"
#define OWN_ARGUMENTS 10

static void fail(const char *place, const char *what, const char *fix) {
    fprintf(stderr, "tea: %s: %s; %s\n", place, what, fix);
    exit(127);
}

static char *joined(const char *folder, const char *name) {
    char *path = malloc(strlen(folder) + strlen(name) + 1);
    if (path == NULL) fail("launcher", strerror(errno), "free some memory");
    return strcat(strcpy(path, folder), name);
}

/* Where this program lies, links resolved; /proc may be missing in a bare chroot, then argv[0] has to do. */
static void find_self(const char *argv0, char path[PATH_MAX]) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length > 0) {
        path[length] = '\0';
        if (access(path, F_OK) == 0) return;
    }
    if (strchr(argv0, '/') == NULL || realpath(argv0, path) == NULL)
        fail(argv0, "the bundle can't find itself", "mount /proc, or start it by its path");
}

/* Cuts `path` down to the bundle's folder: the nearest one above that has the loader. */
static void cut_to_bundle(char *path) {
    char self[PATH_MAX];
    strcpy(self, path);
    for (char *slash; (slash = strrchr(path, '/')) != NULL;) {
        *slash = '\0';
        char *loader = joined(path, LOADER);
        int found = access(loader, F_OK) == 0;
        free(loader);
        if (found) return;
    }
    fail(self, "it lies outside its bundle", "keep the bundle's folder together");
}

int main(int argc, char **argv) {
    char bundle[PATH_MAX];
    const char *called = argc > 0 ? argv[0] : "tea";
    find_self(called, bundle);
    const char *slash = strrchr(bundle, '/');
    int as_python = strncmp(slash + 1, "python", 6) == 0;
    cut_to_bundle(bundle);
    if (setenv("APPDIR", bundle, 1) != 0) fail(bundle, strerror(errno), "free some memory");

    char **arguments = calloc((size_t)argc + OWN_ARGUMENTS, sizeof *arguments);
    if (arguments == NULL) fail("launcher", strerror(errno), "free some memory");
    char *loader = joined(bundle, LOADER);
    int count = 0;
    arguments[count++] = loader;
    arguments[count++] = "--inhibit-cache";
    arguments[count++] = "--library-path";
    arguments[count++] = joined(bundle, LIBRARIES);
    arguments[count++] = "--argv0";
    arguments[count++] = joined(bundle, EXECUTABLE);
    arguments[count++] = joined(bundle, INTERPRETER);
    if (!as_python) {
        arguments[count++] = "-m";
        arguments[count++] = MODULE;
    }
    for (int index = 1; index < argc; index++) arguments[count++] = argv[index];
    execv(loader, arguments);
    fail(loader, strerror(errno), "unpack the bundle on a file system that may execute (no noexec)");
}
