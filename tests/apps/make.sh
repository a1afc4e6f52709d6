# SPDX-License-Identifier: Apache-2.0
# timeout: 120
for i in 1 2 3 4 5 6 7 8; do echo "int f$i(void) { return $i; }" > f$i.c; done
{ for i in 1 2 3 4 5 6 7 8; do echo "int f$i(void);"; done; echo '#include <stdio.h>
int main(void) { printf("%d\n", f1()+f2()+f3()+f4()+f5()+f6()+f7()+f8()); return 0; }'; } > main.c
cat > Makefile <<'X'
OBJS := $(patsubst %.c,%.o,$(sort $(wildcard *.c)))
prog: $(OBJS)
	@gcc -o $@ $^ && echo linked
%.o: %.c
	@gcc -O1 -c -o $@ $<
.PHONY: check
check: prog
	@./prog
	@echo jobs done
X
make -j2 check; touch f3.c; make -j2 prog; make prog; make nosuch; echo $?
