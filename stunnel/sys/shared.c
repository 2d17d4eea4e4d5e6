/* SPDX-License-Identifier: ISC */
#include "sys/shared.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/fnv.h"

/* A file that got shorter would make each access beyond its end a SIGBUS. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct piece {
	struct piece *next;
	void *memory;
	size_t size;
	uint64_t layout;
	int fd;		/* -1: it cannot be handed over */
	unsigned forks; /* of the process that has the descriptor */
	char name[];
};

/* The oldest first. */
struct list {
	struct piece *first, **end;
};

static struct list mapped = {.end = &mapped.first};
static unsigned forks;
static struct list left = {.end = &left.first}; /* inherited, and not mapped yet */

static struct piece *new_piece(const char *name, uint64_t layout, size_t size, int fd)
{
	size_t len = strlen(name) + 1;
	struct piece *p = malloc(sizeof *p + len);

	if (!p)
		return NULL;
	*p = (struct piece){.size = size, .layout = layout, .fd = fd, .forks = forks};
	memcpy(p->name, name, len);
	return p;
}

static void append(struct list *list, struct piece *p)
{
	p->next = NULL;
	*list->end = p;
	list->end = &p->next;
}

static struct piece *take(struct list *list, struct piece **at)
{
	struct piece *p = *at;

	*at = p->next;
	if (!p->next)
		list->end = at;
	return p;
}

static bool has_file(const struct piece *p)
{
	return p->fd >= 0 && p->forks == forks;
}

static void free_piece(struct piece *p)
{
	shared_free(p->memory, p->size);
	if (has_file(p))
		close(p->fd);
	free(p);
}

/* Sections without number must not take the descriptors that sockets and files need. */
static bool is_spare(int fd)
{
	struct rlimit files;

	return getrlimit(RLIMIT_NOFILE, &files) == 0 && (rlim_t)fd < files.rlim_cur / 2;
}

/*
 * -1 where the kernel has no such files, or the process no descriptor to spare: then everything
 * works but to hand the memory over.
 */
static int make_file(size_t size)
{
	int fd = memfd_create("stunnel", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && is_spare(fd) && ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Its place among those left; what is there may be NULL. */
static struct piece **find_left(const char *prefix, uint64_t layout, bool whole)
{
	size_t len = strlen(prefix) + whole;
	struct piece **at = &left.first;

	while (*at && ((*at)->layout != layout || strncmp((*at)->name, prefix, len) != 0))
		at = &(*at)->next;
	return at;
}

void *shared_new(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void shared_free(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

static void *map_file(int fd, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void *shared_map(const char *name, uint64_t layout, size_t size)
{
	struct piece **at = find_left(name, layout, true), *p;

	p = *at && (*at)->size == size ? take(&left, at)
				       : new_piece(name, layout, size, make_file(size));
	if (!p)
		return NULL;
	p->memory = p->fd >= 0 ? map_file(p->fd, size) : shared_new(size);
	if (!p->memory) {
		free_piece(p);
		return NULL;
	}
	append(&mapped, p);
	return p->memory;
}

void shared_unmap(void *memory)
{
	struct piece **at = &mapped.first;

	if (!memory)
		return;
	while ((*at)->memory != memory)
		at = &(*at)->next;
	free_piece(take(&mapped, at));
}

uint64_t shared_layout(uint64_t layout, const void *bytes, size_t len)
{
	return fnv_add(layout ^ FNV_BEGIN, bytes, len);
}

size_t shared_left(const char *name, uint64_t layout)
{
	const struct piece *p = *find_left(name, layout, true);

	return p ? p->size : 0;
}

const char *shared_left_name(const char *prefix, uint64_t layout)
{
	const struct piece *p = *find_left(prefix, layout, false);

	return p ? p->name : NULL;
}

/* --- upgrades --------------------------------------------------------------------------------- */

void shared_each(shared_call *call, void *to)
{
	for (const struct piece *p = mapped.first; p; p = p->next)
		if (has_file(p))
			call(to, p->fd, p->layout, p->name);
}

static int descriptor_of(const void *memory)
{
	const struct piece *p = mapped.first;

	while (p && p->memory != memory)
		p = p->next;
	return p ? p->fd : -1;
}

/* A lock of fcntl(2) is the process's own: no child has it, and it goes with the process. */
void shared_own(const void *memory)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	fcntl(descriptor_of(memory), F_SETLK, &whole);
}

pid_t shared_owner(const void *memory)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(descriptor_of(memory), F_GETLK, &whole) != 0)
		return -1;
	if (whole.l_type == F_UNLCK)
		return 0;
	return whole.l_pid > 0 ? whole.l_pid : -1;
}

/* Whoever has the lock before and behind pidfd_open(2) is the one whom the descriptor means. */
void shared_tell_owner(const void *memory, int number)
{
	siginfo_t info = {.si_signo = number, .si_code = SI_QUEUE};
	pid_t owner = shared_owner(memory);
	int fd = (int)syscall(SYS_pidfd_open, owner, 0);

	if (fd < 0)
		return;
	info.si_pid = getpid();
	info.si_uid = getuid();
	if (shared_owner(memory) == owner)
		syscall(SYS_pidfd_send_signal, fd, number, &info, 0);
	close(fd);
}

bool shared_inherit(int fd, uint64_t layout, const char *name)
{
	struct stat found;
	struct piece *p;

	if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
	    fstat(fd, &found) != 0)
		return false;
	p = new_piece(name, layout, (size_t)found.st_size, fd);
	if (p)
		append(&left, p);
	return p;
}

void shared_settle(void)
{
	while (left.first)
		free_piece(take(&left, &left.first));
}

void shared_let_go(void)
{
	shared_settle();
	/* Nothing is written to them: the pages of ten thousand would not be the master's any more.
	 */
	for (const struct piece *p = mapped.first; p; p = p->next)
		if (has_file(p))
			close(p->fd);
	forks++;
}
