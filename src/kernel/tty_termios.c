/* SPDX-License-Identifier: Apache-2.0 */
/* tty_termios.c: the C library's termios to the kernel's. Apart, because the two headers cannot be included together. */
#include <termios.h>

#include "lib/lib.h"

struct tty;
void tty_set_termios(struct tty *t, const struct termios *tio);
void tty_set_termios_raw(struct tty *t, const uint32_t flags[4], uint8_t line, const uint8_t *cc, unsigned ncc);

void tty_set_termios(struct tty *t, const struct termios *tio)
{
	uint32_t flags[4] = { tio->c_iflag, tio->c_oflag, tio->c_cflag, tio->c_lflag };

	tty_set_termios_raw(t, flags, tio->c_line, tio->c_cc, NCCS);
}
