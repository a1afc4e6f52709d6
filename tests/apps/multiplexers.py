#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""tmux and screen: a server of sessions with terminals of their own. Arguments: the wrapper's words."""
import os, pexpect, subprocess, sys, tempfile
env = dict(os.environ, TERM='screen', SHELL='/bin/sh', PS1='PS> ', LANG='C.UTF-8')
env.pop('TMUX', None)
tmp = tempfile.mkdtemp()
env['SCREENDIR'] = tmp + '/s'
os.mkdir(tmp + '/s', 0o700)
script = '''
t() { tmux -L own -f /dev/null "$@"; }
till() { for i in $(seq 150); do [ "$(eval "$1")" = "$2" ] && break; sleep .1; done; }
t new-session -d -s one -x 90 -y 30 /bin/sh
for i in $(seq 100); do t capture-pane -p -t one | grep -q 'PS>' && break; sleep .1; done
t send-keys -t one 'stty size; echo pane $((6 * 7)); tty | cut -c1-9' Enter
for i in $(seq 100); do t capture-pane -p -t one | grep -q '^/dev/pts/' && break; sleep .1; done
t capture-pane -p -t one | grep -v 'PS\|^$'; t capture-pane -p -t one | grep -c '^pane 42'
t split-window -h -t one 'seq 3; exec cat'; t select-layout -t one even-horizontal
panes() { t list-panes -t one -F '#{pane_index} #{pane_width}x#{pane_height} #{pane_current_command}'; }
till 'panes | tail -1' '1 45x30 cat'; panes
t send-keys -t one.1 C-d; till 't list-panes -t one | wc -l' 1; t list-panes -t one | wc -l
runs() { t display -p -t one '#{pane_current_command}'; }
t send-keys -t one 'sleep 100' Enter; till runs sleep; runs; t send-keys -t one C-c; till runs sh; runs
t new-window -d -t one -n second 'exit 3'; till 't list-windows -t one | wc -l' 1; t list-windows -t one | wc -l
t set-buffer pasted; t show-buffer; echo; t has-session -t nosuch 2>/dev/null; echo "has $?"
t kill-server; till 't ls 2>&1 | cut -c1-9' 'no server'; t ls 2>&1 | cut -c1-9
'''
words = sys.argv[1:]
def out(w):
    p = subprocess.run(w + ['/bin/sh', '-c', script], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100)
    return p.stdout.decode()
want = '''30 90
pane 42
/dev/pts/
1
0 44x30 sh
1 45x30 cat
1
sleep
sh
1
pasted
has 1
no server
'''
got = out(words)
assert got == want, got
# an attached client: keys, detach, attach again, resize
c = pexpect.spawn((words + ['/bin/sh'])[0], (words + ['/bin/sh'])[1:], env=env, timeout=20, encoding='utf-8', dimensions=(24, 80), echo=False)
c.expect('PS> $')
c.sendline('tmux -L own2 -f /dev/null new -s a')
c.expect('own2|a.*0:')
c.sendline('echo in""side; stty size')
c.expect('inside')
c.expect('23 80')
c.send('\x02d')
c.expect('detached')
c.expect('PS> $')
c.sendline('tmux -L own2 ls | cut -d: -f1; tmux -L own2 attach')
c.expect('inside')
c.setwinsize(40, 100)
c.sendline('until stty size | grep "39 1"00; do sleep .1; done')
c.expect('39 100')
c.sendline('exit')
c.expect('exited')
c.expect('PS> $')
c.sendline('screen -S s sh')
c.expect('PS> ')
c.sendline('echo scr""een')
c.expect('screen')
c.send('\x01d')
c.expect('detached')
c.sendline('screen -ls | grep -c Detached; screen -r s')
c.expect('1')
c.expect('screen')
c.sendline('exit')
c.expect('terminating')
c.sendline('exit 4')
c.expect(pexpect.EOF)
c.close()
assert c.exitstatus == 4, c.exitstatus
