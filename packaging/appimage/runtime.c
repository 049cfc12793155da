/* The type-2 AppImage runtime: mounts the squashfs behind this program, or unpacks it, and runs its AppRun.
 *
 * Without FUSE it unpacks into a temporary folder, says so, and takes the folder away afterwards. The environment it sets
 * is the specification's: APPIMAGE, APPDIR, ARGV0, OWD.
 */
#define _GNU_SOURCE
#include "runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_RUNTIME 127
#define VERSION "1"

static char image[PATH_MAX];
static off_t offset;

static const char HELP[] =
    "An AppImage: one file that runs. What stands behind it is for the program in it, but for these:\n"
    "\n"
    "  --appimage-extract [PATTERN]     unpack into squashfs-root (only what matches)\n"
    "  --appimage-extract-and-run ...   unpack into a temporary folder and run from there\n"
    "  --appimage-help                  print this\n"
    "  --appimage-mount                 mount, print where, and wait for Ctrl-C\n"
    "  --appimage-offset                print where the file system begins\n"
    "  --appimage-portable-home         keep the home folder in a folder beside this file\n"
    "  --appimage-portable-config       keep settings in a folder beside this file\n"
    "  --appimage-signature             print the signature that is embedded\n"
    "  --appimage-updateinformation     print where updates come from\n"
    "  --appimage-version               print the runtime's version\n"
    "\n"
    "Environment: APPIMAGE_EXTRACT_AND_RUN=1 never mounts; NO_CLEANUP=1 keeps what was unpacked; TMPDIR says where;\n"
    "TARGET_APPIMAGE names another file to run.\n";

static _Noreturn void fail(const char *place, const char *what, const char *fix) {
    fprintf(stderr, "appimage: %s: %s%s%s\n", place, what, *fix ? "; " : "", fix);
    exit(EXIT_RUNTIME);
}

static void set_variable(const char *name, const char *value) {
    if (setenv(name, value, 1) != 0) fail(name, strerror(errno), "");
}

/* Where temporary folders go: the first place that can be written and may execute programs. */
static void make_temporary(const char *stem, char folder[PATH_MAX]) {
    const char *chosen = getenv("TMPDIR");
    const char *places[] = {chosen && *chosen ? chosen : "/tmp", "/var/tmp", getenv("XDG_RUNTIME_DIR"), getenv("HOME"), "."};
    for (size_t index = 0; index < sizeof places / sizeof *places; index++) {
        struct statvfs status;
        if (places[index] == NULL || statvfs(places[index], &status) != 0 || (status.f_flag & ST_NOEXEC)) continue;
        if (snprintf(folder, PATH_MAX, "%s/%sXXXXXX", places[index], stem) >= PATH_MAX) continue;
        if (mkdtemp(folder) != NULL) return;
    }
    fail("temporary folder", "none can be written that may execute programs", "set TMPDIR to one");
}

/* A folder beside the image named after it, in place of HOME or XDG_CONFIG_HOME, where somebody made one. */
static void use_portable(const char *ending, const char *variable) {
    char folder[PATH_MAX];
    struct stat status;
    if (snprintf(folder, sizeof folder, "%s%s", image, ending) >= (int)sizeof folder) return;
    if (stat(folder, &status) == 0 && S_ISDIR(status.st_mode)) set_variable(variable, folder);
}

static int make_portable(const char *ending) {
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s%s", image, ending) >= (int)sizeof folder) errno = ENAMETOOLONG;
    else if (mkdir(folder, 0700) == 0 || errno == EEXIST) {
        printf("%s\n", folder);
        return 0;
    }
    fail(folder, strerror(errno), "make this folder yourself");
}

static void set_environment(const char *appdir, const char *argv0) {
    char here[PATH_MAX];
    set_variable("APPIMAGE", image);
    set_variable("APPDIR", appdir);
    set_variable("ARGV0", argv0);
    set_variable("OWD", getcwd(here, sizeof here) != NULL ? here : "");
    use_portable(".home", "HOME");
    use_portable(".config", "XDG_CONFIG_HOME");
    unsetenv("TARGET_APPIMAGE");
}

static _Noreturn void become(const char *appdir, char **arguments) {
    char program[PATH_MAX];
    if (snprintf(program, sizeof program, "%s/AppRun", appdir) >= (int)sizeof program) fail(appdir, "the path is too long", "");
    set_environment(appdir, arguments[0]);
    arguments[0] = program;
    execv(program, arguments);
    fail(program, strerror(errno), "");
}

static pid_t program;

static void pass_on(int number) {
    if (program > 0) kill(program, number);
}

static int run_unpacked(char **arguments, int print) {
    char folder[PATH_MAX];
    struct statvfs disk;
    make_temporary("appimage_extracted_", folder);
    unsigned long long needed = unpacked_bytes(image, offset);
    if (print)
        fprintf(stderr, "appimage: FUSE can't be used here; unpacking %llu MB into %s\n", needed >> 20, folder);
    if (statvfs(folder, &disk) == 0 && needed > (unsigned long long)disk.f_bavail * disk.f_frsize) {
        rmdir(folder);
        fail(folder, "there is too little room to unpack this file", "set TMPDIR to a place with more");
    }
    if (extract_image(image, offset, folder, NULL, 0) < 0) {
        int error = errno;
        remove_tree(folder);
        fail(image, error == EINVAL ? "no file system stands behind the program" : strerror(error), "fetch this file again");
    }
    program = fork();
    if (program == 0) become(folder, arguments);
    if (program < 0) fail("fork", strerror(errno), "");
    for (int number = 1; number < NSIG; number++)
        if (number == SIGTERM || number == SIGHUP || number == SIGUSR1 || number == SIGUSR2) signal(number, pass_on);
    signal(SIGINT, SIG_IGN); /* a terminal sends it to the program too */
    signal(SIGQUIT, SIG_IGN);
    int status = 0;
    while (waitpid(program, &status, 0) < 0 && errno == EINTR) {
    }
    if (getenv("NO_CLEANUP") == NULL) remove_tree(folder);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static _Noreturn void wait_mounted(const char *point) {
    puts(point);
    fflush(stdout);
    while (1) pause();
}

static int run_mounted(char **arguments, int only_mount) {
    char point[PATH_MAX];
    make_temporary(".mount_", point);
    int life = mount_image(image, offset, point); /* inherited by the program: the mount lasts as long as it does */
    if (life < 0) {
        rmdir(point);
        return -1;
    }
    if (only_mount) wait_mounted(point);
    become(point, arguments);
}

static int print_text(const char *text) {
    puts(text);
    return 0;
}

static int extract_here(const char *pattern) {
    long count = extract_image(image, offset, "squashfs-root", pattern, 1);
    if (count < 0) fail(image, errno == EINVAL ? "no file system stands behind the program" : strerror(errno), "");
    if (count == 0 && pattern != NULL) fail(pattern, "nothing in this AppImage matches", "");
    return 0;
}

static int is_set(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' && strcmp(value, "0") != 0;
}

int main(int argc, char **argv) {
    if (argc < 1) return EXIT_RUNTIME;
    if (find_image(argv[0], image) != 0) fail(argv[0], strerror(errno), "mount /proc, or start it by its path");
    if ((offset = payload_offset(image)) < 0) fail(image, "it is no sound ELF program", "fetch this file again");

    const char *option = argc > 1 && strncmp(argv[1], "--appimage-", 11) == 0 ? argv[1] + 11 : NULL;
    int unpack = is_set("APPIMAGE_EXTRACT_AND_RUN"), only_mount = 0;
    if (option != NULL) {
        if (strcmp(option, "help") == 0) return fputs(HELP, stdout) < 0;
        if (strcmp(option, "offset") == 0) return printf("%lld\n", (long long)offset) < 0;
        if (strcmp(option, "version") == 0) return fprintf(stderr, "The Edge Agent's AppImage runtime %s\n", VERSION) < 0;
        if (strcmp(option, "updateinformation") == 0 || strcmp(option, "updateinfo") == 0)
            return print_text(update_information());
        if (strcmp(option, "signature") == 0) return print_text(signature());
        if (strcmp(option, "extract") == 0) return extract_here(argc > 2 ? argv[2] : NULL);
        if (strcmp(option, "portable-home") == 0) return make_portable(".home");
        if (strcmp(option, "portable-config") == 0) return make_portable(".config");
        if (strcmp(option, "mount") == 0)
            only_mount = 1;
        else if (strcmp(option, "extract-and-run") == 0)
            unpack = 1;
        else
            fail(argv[1], "there is no such option", "--appimage-help lists them");
    }
    char **arguments = argv;
    if (option != NULL) {
        arguments = argv + 1; /* the option isn't the program's */
        arguments[0] = argv[0];
    }
    if (only_mount || !unpack) {
        int code = run_mounted(arguments, only_mount);
        if (code >= 0) return code;
        if (only_mount) fail(image, "FUSE can't be used here", "--appimage-extract unpacks it instead");
    }
    return run_unpacked(arguments, !unpack);
}
