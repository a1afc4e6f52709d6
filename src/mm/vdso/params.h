/* SPDX-License-Identifier: Apache-2.0 */
/* params.h: the page before the vDSO in every guest, read-only there. Written once by the kernel process. */
#ifndef BAILEY_MM_VDSO_PARAMS_H
#define BAILEY_MM_VDSO_PARAMS_H
#include <stdint.h>

/* Addresses of the host vDSO's functions in this guest; 0: make the system call. */
struct vdso_params {
	uint64_t clock_gettime, gettimeofday, time, getcpu, clock_getres;
};

#endif
