# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# stress-ng: processes, threads, signals, scheduling, timers and descriptors, several stressors beside each other. STRESS_SECS: how long a
# group runs (2); the groups are made so that each stressor gets a fair part of one CPU.
command -v stress-ng >/dev/null || { echo "no stress-ng"; exit 1; }
group() {
	local out status
	out=$(stress-ng -q --verify -t "${STRESS_SECS:-2}" "$@" 2>&1)
	status=$?
	((status == 0)) || echo "$out"
	echo "$*: $status"
}
group --fork 1 --vfork 1 --clone 1 --wait 1 --zombie 1 --daemon 1 --exec 1 --spawn 1
group --pthread 1 --futex 1 --mutex 1 --sem 1 --switch 1 --yield 1 --membarrier 1 --context 1
group --kill 1 --sigpending 1 --sigsuspend 1 --sigq 1 --sigrt 1 --sigfd 1 --sigchld 1 --sigio 1
group --sigsegv 1 --sigabrt 1 --sigfpe 1 --sigtrap 1 --signal 1 --signest 1 --sigpipe 1 --bad-altstack 1
group --ptrace 1 --seccomp 1 --pidfd 1 --session 1 --prctl 1 --personality 1 --rlimit 1 --exit-group 1
group --timer 1 --timerfd 1 --itimer 1 --clock 1 --nanosleep 1 --sleep 1 --alarm 1 --hrtimers 1
group --nice 1 --affinity 1 --schedpolicy 1 --resched 1 --get 1 --set 1 --procfs 1 --kcmp 1
group --eventfd 1 --epoll 1 --poll 1 --pipe 1 --tee 1 --pty 1 --dnotify 1 --msg 1
