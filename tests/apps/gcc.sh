# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# A program of several files: compiled, linked statically and dynamically, as a library, run, and a compile error.
cat > a.c <<'X'
#include <stdio.h>
#include <math.h>
int add(int, int);
int main(int argc, char **argv) { printf("%d %.3f %d\n", add(2, 3), sqrt(argc + 1.0), argc); return 7; }
X
echo 'int add(int a, int b) { return a + b; }' > b.c
gcc -O2 -Wall -c a.c b.c && gcc -o prog a.o b.o -lm && ./prog x; echo $?
gcc -static -O1 -o sprog a.c b.c -lm && ./sprog; echo $?
gcc -shared -fPIC -o libb.so b.c && gcc -o dprog a.c -L. -lb -lm && LD_LIBRARY_PATH=. ./dprog; echo $?
gcc -c -o bad.o -x c - <<<'int main(void) { return x; }' 2>&1 | grep -c undeclared
ar rcs libb.a b.o && gcc -o aprog a.c libb.a -lm && ./aprog a b; nm aprog | grep -c ' T add'
cat > t.c <<'X'
#include <pthread.h>
#include <stdio.h>
static int n; static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static void *f(void *x) { for (int i = 0; i < 10000; i++) { pthread_mutex_lock(&m); n++; pthread_mutex_unlock(&m); } return x; }
int main(void) { pthread_t t[8]; for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, f, 0); for (int i = 0; i < 8; i++) pthread_join(t[i], 0); printf("%d\n", n); }
X
gcc -O2 -pthread -o threads t.c && ./threads
