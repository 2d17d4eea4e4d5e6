/* SPDX-License-Identifier: ISC */
#include "sys/shared.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define SIZE 100

struct left {
	int fd[4];
	size_t count;
};

static void note(void *to, int fd, uint64_t layout, const char *name)
{
	struct left *left = to;

	assert_int_equal(layout, 7);
	assert_string_equal(name, "a name");
	left->fd[left->count++] = dup(fd);
}

/* As a program that ends leaves it: memory of one name, each with its number. */
static struct left leave(size_t count)
{
	struct left left = {.count = 0};
	unsigned char *memory[4];

	for (size_t i = 0; i < count; i++) {
		memory[i] = shared_map("a name", 7, SIZE);
		assert_non_null(memory[i]);
		assert_int_equal(memory[i][0], 0);
		memory[i][0] = (unsigned char)(i + 1);
	}
	shared_each(note, &left);
	for (size_t i = 0; i < count; i++)
		shared_unmap(memory[i]);
	assert_int_equal(left.count, count);
	return left;
}

/* What the first byte of new memory is. */
static int first_byte(const char *name, uint64_t layout, size_t size)
{
	unsigned char *memory = shared_map(name, layout, size);
	int byte;

	assert_non_null(memory);
	byte = memory[0];
	shared_unmap(memory);
	return byte;
}

static void what_was_left_is_found_in_its_order(void **state)
{
	struct left left = leave(2);

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_true(shared_inherit(left.fd[i], 7, "a name"));
	assert_string_equal(shared_left_name("a ", 7), "a name");
	assert_int_equal(shared_left("a name", 7), SIZE);
	assert_int_equal(shared_left("a ", 7), 0);
	assert_int_equal(first_byte("a name", 7, SIZE), 1);
	assert_int_equal(first_byte("a name", 7, SIZE), 2);
	assert_null(shared_left_name("", 7));
	assert_int_equal(first_byte("a name", 7, SIZE), 0);
}

static void what_is_used_in_another_way_begins_anew(void **state)
{
	struct left left = leave(1);

	(void)state;
	assert_true(shared_inherit(left.fd[0], 7, "a name"));
	assert_null(shared_left_name("a ", 8));
	assert_int_equal(first_byte("a name", 8, SIZE), 0);
	assert_int_equal(first_byte("a name", 7, SIZE + 1), 0);
	assert_int_equal(first_byte("another", 7, SIZE), 0);
	assert_int_equal(shared_left("a name", 7), SIZE);
	shared_settle();
	assert_int_equal(shared_left("a name", 7), 0);
	assert_int_equal(fcntl(left.fd[0], F_GETFD), -1);
}

/* An access beyond the end of a file would be a SIGBUS. */
static void a_file_that_could_get_shorter_is_not_taken(void **state)
{
	int fd = memfd_create("test", 0);

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_false(shared_inherit(fd, 7, "a name"));
	assert_false(shared_inherit(-1, 7, "a name"));
	close(fd);
}

static void a_child_has_nothing_to_hand_over(void **state)
{
	struct left left = {.count = 0};
	unsigned char *memory = shared_map("a name", 7, SIZE);

	(void)state;
	shared_let_go();
	shared_each(note, &left);
	assert_int_equal(left.count, 0);
	memory[SIZE - 1] = 1;
	shared_unmap(memory);
}

static void a_layout_is_of_all_bytes_in_their_order(void **state)
{
	(void)state;
	assert_int_equal(shared_layout(0, "ab", 2), shared_layout(0, "ab", 2));
	assert_int_not_equal(shared_layout(0, "ab", 2), shared_layout(0, "ba", 2));
	assert_int_not_equal(shared_layout(1, "ab", 2), shared_layout(0, "ab", 2));
}

/* In a process of its own: owns the memory until it gets the signal; its exit status. */
static int own_until_told(const void *memory, int to)
{
	siginfo_t info = {0};
	sigset_t told;

	sigemptyset(&told);
	sigaddset(&told, SIGUSR2);
	shared_own(memory);
	if (write(to, "", 1) != 1)
		return 1;
	return sigwaitinfo(&told, &info) == SIGUSR2 && info.si_code == SI_QUEUE ? 0 : 2;
}

static void who_owns_memory_can_be_told(void **state)
{
	unsigned char *memory = shared_map("a name", 7, SIZE);
	int owned[2], status;
	sigset_t told;
	pid_t pid;
	char byte;

	(void)state;
	assert_non_null(memory);
	sigemptyset(&told);
	sigaddset(&told, SIGUSR2);
	sigprocmask(SIG_BLOCK, &told, NULL);
	assert_int_equal(pipe(owned), 0);
	assert_int_equal(shared_owner(memory), 0);
	pid = fork();
	if (pid == 0)
		_exit(own_until_told(memory, owned[1]));
	assert_int_equal(read(owned[0], &byte, 1), 1);
	assert_int_equal(shared_owner(memory), pid);
	shared_tell_owner(memory, SIGUSR2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(shared_owner(memory), 0);
	shared_tell_owner(memory, SIGUSR2);
	close(owned[0]);
	close(owned[1]);
	shared_unmap(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_left_is_found_in_its_order),
		cmocka_unit_test(what_is_used_in_another_way_begins_anew),
		cmocka_unit_test(a_file_that_could_get_shorter_is_not_taken),
		cmocka_unit_test(a_child_has_nothing_to_hand_over),
		cmocka_unit_test(a_layout_is_of_all_bytes_in_their_order),
		cmocka_unit_test(who_owns_memory_can_be_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
