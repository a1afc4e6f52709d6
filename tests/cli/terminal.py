#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A terminal: Ctrl-C, Ctrl-Z under a shell, the window size, and settings that are restored however the sandbox ends."""
import os, pty, signal, subprocess, sys, termios, time, select, struct, fcntl
bailey = os.environ['BAILEY']
failed = False
def fail(*a):
    global failed
    failed = True
    print('FAIL:', *a)
class Session:
    def __init__(self, *words, lead=[]):
        self.m, s = pty.openpty()
        fcntl.ioctl(s, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))
        self.before = termios.tcgetattr(s)
        self.slave = s
        self.p = subprocess.Popen([*lead, bailey, 'run', '--', *words], stdin=s, stdout=s, stderr=s, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.out = b''
    def expect(self, what, timeout=10):
        end = time.time() + timeout
        while what not in self.out:
            left = end - time.time()
            if left <= 0 or not select.select([self.m], [], [], left)[0]:
                fail(f'no {what!r} in {self.out!r}')
                return False
            try: self.out += os.read(self.m, 4096)
            except OSError: break
        self.out = self.out.split(what, 1)[-1]
        return True
    def send(self, b): os.write(self.m, b)
    def end(self, want, what):
        try: st = self.p.wait(10)
        except subprocess.TimeoutExpired:
            fail(what, 'did not end'); self.p.kill(); self.p.wait(); return
        if want is not None and st != want: fail(what, 'status', st, 'instead of', want)
        if termios.tcgetattr(self.slave) != self.before: fail(what, 'left the terminal changed')
        os.close(self.m); os.close(self.slave)
s = Session('sh', '-c', 'tty; stty size; echo up; sleep 30')
s.expect(b'/dev/pts/'); s.expect(b'33 77'); s.expect(b'up'); time.sleep(0.5); s.send(b'\x03'); s.end(130, 'Ctrl-C') # (sooner, dash loses it natively too)
s = Session('sh', '-c', 'trap "echo caught; exit 5" INT; echo up; while :; do sleep 0.1; done')
s.expect(b'up'); s.send(b'\x03'); s.expect(b'caught'); s.end(5, 'Ctrl-C with a trap')
s = Session('sh', '-c', 'echo up; sleep 30')
s.expect(b'up'); time.sleep(0.5); s.send(b'\x1c'); s.end(131, 'Ctrl-\\')
s = Session('cat')
s.send(b'line\n'); s.expect(b'line\r\nline\r\n'); s.send(b'\x04'); s.end(0, 'Ctrl-D')
s = Session('bash', '--norc', '--noprofile', '-i')
s.send(b'PS1=">"; sleep 30\n'); s.expect(b'sleep 30'); time.sleep(0.5); s.send(b'\x1a'); s.expect(b'Stopped'); s.send(b'kill %1; echo re\\d\n'); s.expect(b'red'); s.send(b'exit 4\n'); s.end(4, 'Ctrl-Z under bash')
s = Session('sh', '-c', 'trap "stty size" WINCH; echo up; while :; do sleep 0.1; done')
s.expect(b'up'); fcntl.ioctl(s.slave, termios.TIOCSWINSZ, struct.pack('HHHH', 44, 55, 0, 0)); os.kill(s.p.pid, signal.SIGWINCH); s.expect(b'44 55'); s.send(b'\x03'); s.end(None, 'window size')
for sig, st in (signal.SIGTERM, 143), (signal.SIGHUP, 129):
    s = Session('sh', '-c', 'stty raw; echo up; exec sleep 30')
    s.expect(b'up'); s.p.send_signal(sig); s.end(st, sig.name)
# the kernel process dies
s = Session('sh', '-c', 'stty raw -echo; echo up; exec sleep 30')
s.expect(b'up')
k = int(subprocess.run(['pgrep', '-P', str(s.p.pid)], capture_output=True, text=True).stdout.split()[0])
os.kill(k, signal.SIGKILL); s.end(125, 'a killed kernel process')
# it cannot even start
# (a host that hangs up a terminal whose session leader ended drops what was not read yet: another one leads here)
s = Session('no-such-command', lead=['sh', '-c', '"$@"; st=$?; sleep 0.5; exit $st', 'sh']); s.expect(b'not found'); s.end(127, 'no such command')
# the terminal hangs up
s = Session('sh', '-c', 'echo up; exec sleep 30')
s.expect(b'up'); os.close(s.m); os.close(s.slave)
try:
    st = s.p.wait(10)
    if st != 129: fail('hang-up: status', st)
except subprocess.TimeoutExpired:
    fail('hang-up did not end it'); s.p.kill()
sys.exit(1 if failed else 0)
