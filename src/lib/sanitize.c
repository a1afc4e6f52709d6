/* SPDX-License-Identifier: Apache-2.0 */
/* sanitize.c: how the sanitizers of debug builds run inside the jail. */
#include "lib/lib.h"

#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

/* No leak check: it stops the threads with ptrace, which the jail's filter refuses. No SIGSEGV handler of its own, no alternate
 * stacks: the kernel process handles its faults itself. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0:handle_segv=0:handle_sigbus=0:use_sigaltstack=0:abort_on_error=1:allocator_may_return_null=1:"
	       "detect_stack_use_after_return=0:symbolize=0:strict_string_checks=1";
}

const char *__ubsan_default_options(void) { return "print_stacktrace=1:halt_on_error=1:abort_on_error=1:symbolize=0"; }
#endif

#ifdef __SANITIZE_THREAD__
/* Reports name places as bailey+0x1234, for addr2line: the jail has no symbolizer. The kernel process is a fork that starts threads. */
const char *__tsan_default_options(void) __attribute__((used, visibility("default")));
const char *__tsan_default_options(void) { return "die_after_fork=0:report_thread_leaks=0:symbolize=0:history_size=4:handle_segv=0:handle_sigbus=0:exitcode=0"; }
#endif
