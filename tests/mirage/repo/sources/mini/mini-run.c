/* mini-run IMAGE ARGUMENT...: runs a program of the target `mini`.

   An image is a page that begins with MAGIC, and behind it a static program. Linux cannot run that: the
   page is no header that it knows. This maps the program where it wants to be, gives it a stack as a
   kernel would, leaves it the few system calls that computing and printing need, and jumps. */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
#define MAGIC "\0mini image 1\n"
#define STACK (64ul << 20)

static void die(const char *what) {
  fprintf(stderr, "mini-run: %s\n", what);
  exit(1);
}

/* What an image may ask of Linux; anything else is answered as if there were no such call. */
static const int allowed[] = {
  SYS_read, SYS_write, SYS_writev, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise,
  SYS_brk, SYS_exit, SYS_exit_group, SYS_arch_prctl, SYS_set_tid_address, SYS_clock_gettime,
  SYS_futex, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_sigaltstack, SYS_gettid,
};

static void confine(void) {
  enum { COUNT = sizeof allowed / sizeof *allowed };
  struct sock_filter filter[COUNT + 4], *at = filter;
  *at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < COUNT; i++)
    *at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], COUNT - i, 0);
  *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
  *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = { .len = at - filter, .filter = filter };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    die("cannot confine the image");
}

static int protection(uint32_t flags) {
  return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) | (flags & PF_X ? PROT_EXEC : 0);
}

static void map(const char *image, const Elf64_Phdr *segment) {
  uintptr_t start = segment->p_vaddr & -PAGE;
  uintptr_t end = (segment->p_vaddr + segment->p_memsz + PAGE - 1) & -PAGE;
  void *memory = mmap((void *)start, end - start, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (memory != (void *)start) die("the image wants memory that is not free");
  memcpy((void *)segment->p_vaddr, image + segment->p_offset, segment->p_filesz);
  mprotect(memory, end - start, protection(segment->p_flags));
}

int main(int argc, char **argv) {
  struct stat about;
  if (argc < 2) die("usage: mini-run IMAGE ARGUMENT...");
  int fd = open(argv[1], O_RDONLY);
  if (fd < 0 || fstat(fd, &about)) die("cannot read the image");
  size_t size = about.st_size;
  if (size < PAGE + sizeof(Elf64_Ehdr)) die("this is no image of mini");
  char *file = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (file == MAP_FAILED || memcmp(file, MAGIC, sizeof MAGIC - 1)) die("this is no image of mini");
  const char *image = file + PAGE;
  const Elf64_Ehdr *head = (const void *)image;
  if (head->e_phoff + head->e_phnum * sizeof(Elf64_Phdr) > size - PAGE) die("the image is damaged");
  const Elf64_Phdr *segments = (const void *)(image + head->e_phoff);
  uintptr_t table = 0;
  for (int i = 0; i < head->e_phnum; i++) {
    const Elf64_Phdr *segment = segments + i;
    if (segment->p_type != PT_LOAD) continue;
    if (segment->p_offset + segment->p_filesz > size - PAGE) die("the image is damaged");
    map(image, segment);
    if (segment->p_offset == 0) table = segment->p_vaddr + head->e_phoff;
  }

  /* The stack: argument count, arguments, no environment, and what the C library must know. */
  static unsigned char random[16] = "0123456789abcdef";
  char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) die("no memory for a stack");
  uintptr_t *top = (uintptr_t *)(stack + STACK) - (argc + 32);
  top = (uintptr_t *)((uintptr_t)top & ~15ul);
  uintptr_t *at = top;
  *at++ = argc - 1;
  for (int i = 1; i < argc; i++) *at++ = (uintptr_t)argv[i];
  *at++ = 0;
  *at++ = 0;
  const uintptr_t known[] = {
    AT_PHDR, table, AT_PHNUM, head->e_phnum, AT_PHENT, sizeof(Elf64_Phdr), AT_PAGESZ, PAGE,
    AT_RANDOM, (uintptr_t)random, AT_SECURE, 0, AT_NULL, 0,
  };
  memcpy(at, known, sizeof known);
  fflush(NULL);
  confine();
  __asm__ volatile("mov %0, %%rsp\n\txor %%edx, %%edx\n\txor %%ebp, %%ebp\n\tjmp *%1"
                   : : "r"(top), "r"(head->e_entry) : "memory");
  __builtin_unreachable();
}
